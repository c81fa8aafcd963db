"""CPU and memory of each worker process, its children included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from playground.process import tree


@dataclass(frozen=True)
class WorkerLoad:
    cpu_percent: float | None  # share of the whole machine, 0..100; None at the first reading
    rss_mb: float


class Workers:
    """Loads by lane; a worker that ends while being read is left out."""

    def __init__(self, pids: Callable[[], dict[str, int]]) -> None:
        self._pids = pids
        self._known: dict[int, psutil.Process] = {}  # psutil keeps the last CPU times in it

    def read(self) -> dict[str, WorkerLoad]:
        loads: dict[str, WorkerLoad] = {}
        seen: dict[int, psutil.Process] = {}
        for lane, pid in self._pids().items():
            with contextlib.suppress(psutil.Error):
                loads[lane] = self._load(pid, seen)
        self._known = seen
        return loads

    def _load(self, pid: int, seen: dict[int, psutil.Process]) -> WorkerLoad:
        percent, rss, compared = 0.0, 0.0, True
        for found in tree(pid):
            process = self._known.get(found.pid, found)
            compared = compared and found.pid in self._known
            seen[found.pid] = process
            percent += process.cpu_percent(None)
            rss += process.memory_info().rss
        return WorkerLoad(percent / (psutil.cpu_count() or 1) if compared else None, rss / 1e6)
