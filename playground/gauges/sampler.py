"""One thread for the whole program reads the gauges once a second; all pages show its samples.

A run takes extra samples where it begins and ends (`sample_now`), which keeps the load before and
after it out of its own samples, and collects these (`recording`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from playground.gauges import aggregate, power_source
from playground.gauges.probes import UNLISTED, Probes, local_probes, unreadable_probes
from playground.gauges.readings import Moment, Sample
from playground.gauges.system import Workers, memory_mb

PERIOD_S = 1.0
KEPT_S = 120
# No sample follows another sooner than this: counters grow in steps, some of them of 10 ms.
MIN_INTERVAL_NS = 50_000_000
MAX_WAIT_S = 0.5  # a driver that hangs must not delay a run for longer
POWER_SOURCE_PERIOD_S = 10  # the battery's driver may be slow
IDLE_S = 2.0

log = logging.getLogger(__name__)


class Sampler:
    """Takes samples until closed. pids: called each second for the workers, {lane: pid}."""

    def __init__(self, pids: Callable[[], dict[str, int]], probes: Probes | None = None) -> None:
        self._probes = probes
        self._pids = pids
        self._last = time.perf_counter_ns()
        self._ring: deque[Sample] = deque()
        self._recordings: list[list[Sample]] = []
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._closed = False
        self.power_source = power_source.PowerSource()  # as of up to ten seconds ago
        self._source_read_s: float = -POWER_SOURCE_PERIOD_S
        threading.Thread(target=self._run, name="gauges", daemon=True).start()

    @property
    def samples(self) -> list[Sample]:
        """The samples of the last two minutes, oldest first."""
        with self._changed:
            return list(self._ring)

    @property
    def latest(self) -> Sample:
        """The last sample that spans most of a second; an empty one before the first."""
        whole = (sample for sample in reversed(self.samples) if sample.seconds > PERIOD_S / 2)
        return next(whole, Sample())

    def sample_now(self) -> None:
        """Take a sample now, unless there is a fresh one, and wait for it."""
        with self._changed:
            now = time.perf_counter_ns()
            if self._closed or now - self._last < MIN_INTERVAL_NS:
                return
            self._wake.set()
            self._changed.wait_for(lambda: self._last >= now, MAX_WAIT_S)

    @contextmanager
    def recording(self) -> Iterator[list[Sample]]:
        """A list to which all samples are added until the context ends, without a limit."""
        samples: list[Sample] = []
        with self._changed:
            self._recordings.append(samples)
        try:
            yield samples
        finally:
            with self._changed:
                # By identity: other lists can be equal.
                self._recordings = [kept for kept in self._recordings if kept is not samples]

    def idle_watts(self, stop: threading.Event) -> float | None:
        """The average power of the idle machine over the next two seconds; None, and without a
        wait, if no meter can be read."""
        if all(meter.watts is None for meter in self.latest.meters):
            return None
        with self.recording() as samples:
            self.sample_now()
            began = time.perf_counter_ns()
            stop.wait(IDLE_S)
            self.sample_now()
        return aggregate.mean(
            samples, began, time.perf_counter_ns(), lambda sample: aggregate.power_w(sample.meters)
        )

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def _run(self) -> None:
        # In this thread, since listing the hardware and loading driver libraries takes time.
        try:
            probes = self._probes or local_probes()
        except Exception:  # a faulty driver must not cost the gauges of CPU and memory
            log.exception("The gauges of GPU, NPU and power could not be set up")
            probes = unreadable_probes(UNLISTED)
        workers = Workers(self._pids)
        psutil.cpu_percent(None)  # the average since this call is the first figure
        self._last = time.perf_counter_ns()
        while True:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            if self._closed:
                return
            try:
                sample = self._sample(workers, probes)
            except Exception:  # must never end the thread: the next second may work
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

    def _sample(self, workers: Workers, probes: Probes) -> Sample:
        loads = workers.read()
        used, total = memory_mb()
        cpu = psutil.cpu_percent(None)
        now = time.perf_counter_ns()
        moment = Moment(now, workers.families)
        if time.monotonic() - self._source_read_s >= POWER_SOURCE_PERIOD_S:
            self._source_read_s = time.monotonic()
            self.power_source = power_source.current()
        gpus, npus, meters = probes.read(moment)
        return Sample(self._last, now, cpu, used, total, loads, gpus, npus, meters)
