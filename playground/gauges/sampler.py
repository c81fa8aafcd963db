"""One thread for the whole program reads the gauges once a second; every page shows the same."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from playground.gauges.machine import Machine
from playground.gauges.workers import WorkerLoad, Workers

PERIOD_S = 1.0
RING = 120  # two minutes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """One second; None is what could not be read."""

    cpu_percent: float | None = None
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None
    workers: dict[str, WorkerLoad] = field(default_factory=dict)  # by lane


class Sampler:
    """Samples until closed. pids: asked each second for the workers, {lane: pid}."""

    def __init__(self, pids: Callable[[], dict[str, int]]) -> None:
        self.ring: deque[Sample] = deque([Sample()], maxlen=RING)
        self._machine = Machine()
        self._workers = Workers(pids)
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="gauges", daemon=True).start()

    @property
    def latest(self) -> Sample:
        return self.ring[-1]

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(PERIOD_S):
            try:
                self.ring.append(self._sample())
            except Exception:  # a gauge must never end the program, and the next second may work
                log.exception("Reading the gauges failed")

    def _sample(self) -> Sample:
        used, total = self._machine.memory_mb()
        return Sample(self._machine.cpu_percent(), used, total, self._workers.read())
