"""One thread for the whole program reads the gauges once a second; every page shows the same.

A run may ask for a reading between two seconds (`mark`), so that its own samples begin and end with
it, and keeps those that fall into it (`recording`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from playground.gauges import aggregate, power_source
from playground.gauges.probes import UNLISTED, Probes, of_this_machine, unreadable
from playground.gauges.readings import Moment
from playground.gauges.sample import Sample
from playground.gauges.system import System
from playground.gauges.workers import Workers

PERIOD_S = 1.0
KEPT_S = 120
# A mark sooner than this after a sample takes none: counters grow in steps, of 10 ms some.
MIN_NS = 50_000_000
MARK_WAIT_S = 0.5  # a driver that hangs must not keep a run from beginning
POWER_SOURCE_S = 10  # between two looks: the battery's driver may be slow
IDLE_S = 2.0

log = logging.getLogger(__name__)


class Sampler:
    """Samples until closed. pids: asked each second for the workers, {lane: pid}."""

    def __init__(self, pids: Callable[[], dict[str, int]], probes: Probes | None = None) -> None:
        self._given = probes
        self._pids = pids
        self._last = time.perf_counter_ns()
        self._ring: deque[Sample] = deque()
        self._recordings: list[list[Sample]] = []
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._closed = False
        self._source = power_source.PowerSource()
        self._looked_at_source: float = -POWER_SOURCE_S
        threading.Thread(target=self._run, name="gauges", daemon=True).start()

    @property
    def samples(self) -> list[Sample]:
        """The last two minutes, oldest first."""
        with self._changed:
            return list(self._ring)

    @property
    def latest(self) -> Sample:
        """The last one that spans most of a second; one that knows nothing before the first."""
        whole = (each for each in reversed(self.samples) if each.seconds > PERIOD_S / 2)
        return next(whole, Sample())

    @property
    def power_source(self) -> power_source.PowerSource:
        """Mains or battery, as of some seconds ago."""
        return self._source

    def mark(self) -> None:
        """Take a sample now, unless one is fresh: what comes next is not mixed with what was."""
        with self._changed:
            asked = time.perf_counter_ns()
            if self._closed or asked - self._last < MIN_NS:
                return
            self._wake.set()
            self._changed.wait_for(lambda: self._last >= asked, MARK_WAIT_S)

    @contextmanager
    def recording(self) -> Iterator[list[Sample]]:
        """A list that all samples from now on are added to, however long it takes."""
        samples: list[Sample] = []
        with self._changed:
            self._recordings.append(samples)
        try:
            yield samples
        finally:
            with self._changed:
                self._recordings[:] = [each for each in self._recordings if each is not samples]

    def idle_watts(self, stop: threading.Event) -> float | None:
        """What the machine draws while nothing is asked of it: the mean of two seconds from now.
        None, and at once, where no meter can be read."""
        if all(meter.watts is None for meter in self.latest.meters):
            return None
        with self.recording() as samples:
            self.mark()
            began = time.perf_counter_ns()
            stop.wait(IDLE_S)
            self.mark()
        return aggregate.mean(
            samples, began, time.perf_counter_ns(), lambda each: aggregate.drawn(each.meters)
        )

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    @cached_property
    def _readers(self) -> tuple[System, Workers, Probes]:
        """Made in the thread: finding the hardware and starting drivers' libraries takes time."""
        try:
            probes = self._given or of_this_machine()
        except Exception:  # one driver's surprise must not cost CPU and memory
            log.exception("The gauges of GPU, NPU and power could not be set up")
            probes = unreadable(UNLISTED)
        return System(), Workers(self._pids), probes

    def _run(self) -> None:
        _ = self._readers
        self._last = time.perf_counter_ns()
        while True:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            if self._closed:
                return
            try:
                sample = self._sample()
            except Exception:  # must never end the program, and the next second may work
                log.exception("Reading the gauges failed")
                continue
            with self._changed:
                self._keep(sample)
                self._changed.notify_all()

    def _keep(self, sample: Sample) -> None:
        self._last = sample.ended_ns
        for kept in [self._ring, *self._recordings]:
            kept.append(sample)
        while self._ring[0].ended_ns < sample.ended_ns - KEPT_S * 1_000_000_000:
            self._ring.popleft()

    def _sample(self) -> Sample:
        machine, workers, probes = self._readers
        loads = workers.read()
        used, total = machine.memory_mb()
        cpu = machine.cpu_percent()
        now = time.perf_counter_ns()
        moment = Moment(now, workers.families)
        if time.monotonic() - self._looked_at_source >= POWER_SOURCE_S:
            self._looked_at_source = time.monotonic()
            self._source = power_source.hints()
        gpus, npus, meters = probes.read(moment)
        return Sample(self._last, now, cpu, used, total, loads, gpus, npus, meters)
