"""CPU and memory of each worker process, its children included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class WorkerLoad:
    cpu_percent: float | None  # share of the whole machine, 0..100; None at the first reading
    rss_mb: float


class Workers:
    """Loads by lane. pids: asked at each reading, {lane: pid}, all of them children of ours."""

    def __init__(self, pids: Callable[[], dict[str, int]]) -> None:
        self._pids = pids
        self._known: dict[int, psutil.Process] = {}  # psutil keeps the last CPU times in it
        self.families: dict[str, frozenset[int]] = {}  # pids by lane, as of the last reading

    def read(self) -> dict[str, WorkerLoad]:
        """A worker that ends while being read is left out."""
        pids = self._pids()
        # One look through the processes of the machine for all workers: it is the dear part.
        found = {each.pid: each for each in psutil.Process().children(recursive=True)}
        known, self._known = self._known, found
        found.update({pid: known[pid] for pid in found.keys() & known.keys()})
        loads: dict[str, WorkerLoad] = {}
        self.families = {}
        for lane, pid in pids.items():
            with contextlib.suppress(psutil.Error):
                processes = list(family(pid, found))
                loads[lane] = load(processes, known)
                self.families[lane] = frozenset(each.pid for each in processes)
        return loads


def family(pid: int, found: dict[int, psutil.Process]) -> Iterator[psutil.Process]:
    """The process and those that descend from it."""
    if pid not in found:
        raise psutil.NoSuchProcess(pid)
    yield found[pid]
    for child in found.values():
        if child.ppid() == pid:
            yield from family(child.pid, found)


def load(processes: list[psutil.Process], known: dict[int, psutil.Process]) -> WorkerLoad:
    """What they use together; a first reading of CPU time has nothing to compare with."""
    cpu = sum(each.cpu_percent(None) for each in processes) / (psutil.cpu_count() or 1)
    rss = sum(each.memory_info().rss for each in processes)
    compared = all(each.pid in known for each in processes)
    return WorkerLoad(cpu if compared else None, rss / 1e6)
