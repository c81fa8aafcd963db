"""The sampler, its samples of the CPU against a load of known size, and faulty probes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from playground.gauges import sampler as sampler_module
from playground.gauges.probes import FAILED, HANGS, Probes
from playground.gauges.readings import Gauge, Moment, Sample
from playground.gauges.sampler import Sampler
from playground.gauges.summary import summary
from tests.support.stub_meters import StubGauge, StubMeter

pytest_plugins = ["tests.support.busy_worker"]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_so()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples follow faster than once a second."""
    monkeypatch.setattr(sampler_module, "PERIOD_S", 0.2)


def test_the_sampler_reads_once_a_second_and_agrees_on_memory() -> None:
    with closing(Sampler(dict)) as sampler:
        assert sampler.latest == Sample(), "unknown before the first second, not 0"
        wait_until(lambda: len(sampler.samples) >= 3)
        latest = sampler.latest
    memory = psutil.virtual_memory()
    used = (memory.total - memory.available) / 1e6
    assert latest.memory_total_mb == pytest.approx(memory.total / 1e6)
    assert latest.memory_used_mb == pytest.approx(used, rel=0.2)
    assert 0 <= (latest.cpu_percent or 0) <= 100
    assert latest.seconds == pytest.approx(1, abs=0.5)


@pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc/stat")
def test_the_cpu_gauge_agrees_with_the_kernel_under_a_known_load(
    worker: subprocess.Popen[str],
) -> None:
    with closing(Sampler(lambda: {"lane": worker.pid}, Probes())) as sampler:
        wait_until(lambda: bool(sampler.samples))
        with sampler.recording() as samples:
            sampler.sample_now()
            samples.clear()
            before, began = busy_ticks(), psutil.Process(worker.pid).children()[0].cpu_times()
            time.sleep(3)
            sampler.sample_now()
            after, ended = busy_ticks(), psutil.Process(worker.pid).children()[0].cpu_times()
    result = summary(samples)
    busy, total = (b - a for a, b in zip(before, after, strict=True))
    assert result["cpu"]["percent"] == pytest.approx(100 * busy / total, abs=5)
    own = (ended.user - began.user) / 3 / (psutil.cpu_count() or 1)
    assert result["cpu"]["per_worker"]["lane"] == pytest.approx(100 * own, abs=5)


def busy_ticks() -> tuple[int, int]:
    """Busy and total clock ticks of the machine in /proc/stat."""
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, line.split()[1:9])
    busy = user + nice + system + irq + softirq + steal
    return busy, busy + idle + iowait


@pytest.mark.usefixtures("quick")
def test_a_probe_that_fails_costs_its_own_gauge_until_it_recovers() -> None:
    npu, gpu = StubGauge(), StubGauge("stub GPU", 40)
    with closing(Sampler(dict, Probes([gpu], [npu], [StubMeter()]))) as sampler:
        wait_until(lambda: sampler.latest.npus != ())
        npu.failing = True
        wait_until(lambda: sampler.latest.npus[0].percent is None)
        failed = sampler.latest
        assert failed.npus[0].name == "stub NPU"
        assert failed.npus[0].reason == FAILED
        assert failed.gpus[0].percent == 40
        assert failed.meters[0].watts == 20
        assert failed.cpu_percent is not None
        npu.failing = False
        wait_until(lambda: sampler.latest.npus[0].percent == 93)


@pytest.mark.usefixtures("quick")
def test_a_driver_that_hangs_costs_its_own_gauge_until_it_recovers() -> None:
    class Hanging(StubGauge):
        def read(self, moment: Moment) -> Gauge:
            answers.wait()
            return super().read(moment)

    answers = threading.Event()
    probes = Probes([Hanging("stub GPU")], [StubGauge()])
    with closing(Sampler(dict, probes)) as sampler:
        wait_until(lambda: sampler.latest.gpus != ())
        hung = sampler.latest
        assert (hung.gpus[0].name, hung.gpus[0].percent) == ("stub GPU", None)
        assert hung.gpus[0].reason == HANGS
        assert (hung.npus[0].percent, hung.cpu_percent is not None) == (93, True)
        answers.set()
        wait_until(lambda: sampler.latest.gpus[0].percent == 93)


@pytest.mark.usefixtures("quick")
def test_a_probe_without_any_reading_is_shown_by_its_name() -> None:
    with closing(Sampler(dict, Probes(npu=[StubGauge(failing=True)]))) as sampler:
        wait_until(lambda: sampler.latest.npus != ())
        assert (sampler.latest.npus[0].name, sampler.latest.npus[0].percent) == ("stub NPU", None)


@pytest.mark.usefixtures("quick")
def test_workers_that_cannot_be_listed_do_not_end_the_sampler() -> None:
    def fails() -> dict[str, int]:
        calls.append(1)
        raise RuntimeError("no list of processes")

    calls: list[int] = []
    with closing(Sampler(fails, Probes())):
        wait_until(lambda: len(calls) >= 2)


def test_an_extra_sample_is_taken_at_once() -> None:
    with closing(Sampler(dict, Probes())) as sampler:
        wait_until(lambda: bool(sampler.samples))
        time.sleep(0.2)  # right after a sample no other is taken
        began_ns = time.perf_counter_ns()
        sampler.sample_now()
        extra = sampler.samples[-1]
        assert extra.ended_ns >= began_ns
        with sampler.recording() as samples:
            wait_until(lambda: bool(samples))
        assert samples[0].began_ns == extra.ended_ns, "no gap between two samples"
        assert sampler.latest.seconds > 0.5, "what is shown spans a second"


@pytest.mark.usefixtures("quick")
def test_probes_get_the_processes_of_each_lane(worker: subprocess.Popen[str]) -> None:
    npu = StubGauge()
    with closing(Sampler(lambda: {"lane": worker.pid}, Probes(npu=[npu]))):
        wait_until(lambda: bool(npu.moments and npu.moments[-1].pids))
        children = {child.pid for child in psutil.Process(worker.pid).children()}
        assert npu.moments[-1].pids == {"lane": {worker.pid, *children}}
