"""Memory of the whole machine; CPU and memory of each worker process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil

from playground.gauges.readings import WorkerLoad


def memory_mb() -> tuple[float, float]:
    """Used memory (what a new program can't have) and total memory, in MB."""
    memory = psutil.virtual_memory()
    return (memory.total - memory.available) / 1e6, memory.total / 1e6


class Workers:
    """Loads of the workers by lane, their children included.

    pids: returns {lane: pid} at each reading; all of them are child processes of this one.
    """

    def __init__(self, pids: Callable[[], dict[str, int]]) -> None:
        self._pids = pids
        self._processes: dict[int, psutil.Process] = {}  # psutil keeps the last CPU times in it
        self.families: dict[str, frozenset[int]] = {}  # pids by lane, as of the last reading

    def read(self) -> dict[str, WorkerLoad]:
        """A worker that ends during the reading is left out."""
        pids = self._pids()
        # One listing of the machine's processes for all workers, since that is the slow part.
        processes = {child.pid: child for child in psutil.Process().children(recursive=True)}
        previous, self._processes = self._processes, processes
        processes.update({pid: previous[pid] for pid in processes.keys() & previous.keys()})
        loads: dict[str, WorkerLoad] = {}
        self.families = {}
        for lane, pid in pids.items():
            with contextlib.suppress(psutil.Error):
                family = list(_family(pid, processes))
                loads[lane] = _load(family, previous)
                self.families[lane] = frozenset(process.pid for process in family)
        return loads


def _family(pid: int, processes: Mapping[int, psutil.Process]) -> Iterator[psutil.Process]:
    """The process and all its descendants."""
    if pid not in processes:
        raise psutil.NoSuchProcess(pid)
    yield processes[pid]
    for child in processes.values():
        if child.ppid() == pid:
            yield from _family(child.pid, processes)


def _load(family: Sequence[psutil.Process], previous: Mapping[int, psutil.Process]) -> WorkerLoad:
    """The sum over all processes; without CPU time unless each was read before."""
    cpu = sum(process.cpu_percent(None) for process in family) / (psutil.cpu_count() or 1)
    rss = sum(process.memory_info().rss for process in family)
    comparable = all(process.pid in previous for process in family)
    return WorkerLoad(cpu if comparable else None, rss / 1e6)
