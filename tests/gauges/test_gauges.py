"""The sampler, and the CPU and memory gauges against loads of known size."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from playground.gauges.probes import Probes
from playground.gauges.readings import Gauge, Moment
from playground.gauges.sample import Sample
from playground.gauges.sampler import Sampler
from playground.gauges.summary import summary
from playground.gauges.workers import Workers
from tests.support.stub_meters import StubGauge, StubMeter

BUSY_CHILD = """
import subprocess, sys, time
if len(sys.argv) > 1:
    held = bytearray(b"x" * 60_000_000)
    print("ready", flush=True)
    while True: pass
child = subprocess.Popen([sys.executable, "-c", sys.stdin.read(), "busy"])
child.wait()
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    """A process whose child keeps one core and 60 MB busy."""
    found = subprocess.Popen(
        [sys.executable, "-c", BUSY_CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert found.stdin and found.stdout
    found.stdin.write(BUSY_CHILD)
    found.stdin.close()
    assert found.stdout.readline() == "ready\n"
    yield found
    for process in [*psutil.Process(found.pid).children(), found]:
        process.kill()
    found.wait()
    found.stdout.close()


def test_a_worker_s_children_count_for_it(worker: subprocess.Popen[str]) -> None:
    workers = Workers(lambda: {"lane": worker.pid})
    assert workers.read()["lane"].cpu_percent is None, "nothing to compare with yet"
    busy = psutil.Process(worker.pid).children()[0]
    before, began = busy.cpu_times().user, time.monotonic()
    workers.read()
    time.sleep(2)
    load = workers.read()["lane"]
    used = (busy.cpu_times().user - before) / (time.monotonic() - began)
    assert load.cpu_percent == pytest.approx(100 * used / (psutil.cpu_count() or 1), abs=5)
    assert load.rss_mb > 60


def test_a_worker_that_is_gone_is_left_out() -> None:
    assert Workers(lambda: {"lane": 2**22 + 1}).read() == {}


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_so()


def test_the_sampler_reads_once_a_second_and_the_machine_s_memory_agrees() -> None:
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
            sampler.mark()
            samples.clear()
            before, began = busy_share(), psutil.Process(worker.pid).children()[0].cpu_times()
            time.sleep(3)
            sampler.mark()
            after, ended = busy_share(), psutil.Process(worker.pid).children()[0].cpu_times()
    found = summary(samples)
    busy, whole = (b - a for a, b in zip(before, after, strict=True))
    assert found["cpu"]["percent"] == pytest.approx(100 * busy / whole, abs=5)
    own = (ended.user - began.user) / 3 / (psutil.cpu_count() or 1)
    assert found["cpu"]["per_worker"]["lane"] == pytest.approx(100 * own, abs=5)


def busy_share() -> tuple[int, int]:
    """Busy and all clock ticks of the machine, as /proc/stat counts them."""
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, line.split()[1:9])
    busy = user + nice + system + irq + softirq + steal
    return busy, busy + idle + iowait


def test_a_probe_that_fails_takes_its_own_gauge_and_comes_back() -> None:
    npu, gpu = StubGauge(), StubGauge("stub GPU", 40)
    with closing(Sampler(dict, Probes([gpu], [npu], [StubMeter()]))) as sampler:
        wait_until(lambda: sampler.latest.npus != ())
        npu.failing = True
        wait_until(lambda: sampler.latest.npus[0].percent is None)
        gone = sampler.latest
        assert gone.npus[0].name == "stub NPU"
        assert gone.npus[0].reason == "Its driver does not answer any more."
        assert gone.gpus[0].percent == 40
        assert gone.meters[0].watts == 20
        assert gone.cpu_percent is not None
        npu.failing = False
        wait_until(lambda: sampler.latest.npus[0].percent == 93)


def test_a_driver_that_hangs_takes_its_own_gauge_and_comes_back() -> None:
    class Hanging(StubGauge):
        def read(self, moment: Moment) -> list[Gauge]:
            answers.wait()
            return super().read(moment)

    answers = threading.Event()
    probes = Probes([Hanging("stub GPU")], [StubGauge()])
    with closing(Sampler(dict, probes)) as sampler:
        wait_until(lambda: sampler.latest.gpus != ())
        hung = sampler.latest
        assert (hung.gpus[0].name, hung.gpus[0].percent) == ("stub GPU", None)
        assert hung.gpus[0].reason == "Its driver has not answered yet."
        assert (hung.npus[0].percent, hung.cpu_percent is not None) == (93, True)
        answers.set()
        wait_until(lambda: sampler.latest.gpus[0].percent == 93)


def test_a_probe_that_never_answered_is_shown_by_its_name() -> None:
    with closing(Sampler(dict, Probes(npu=[StubGauge(failing=True)]))) as sampler:
        wait_until(lambda: sampler.latest.npus != ())
        assert (sampler.latest.npus[0].name, sampler.latest.npus[0].percent) == ("stub NPU", None)


def test_workers_that_cannot_be_listed_do_not_end_the_sampler() -> None:
    def fails() -> dict[str, int]:
        calls.append(1)
        raise RuntimeError("no list of processes")

    calls: list[int] = []
    with closing(Sampler(fails, Probes())):
        wait_until(lambda: len(calls) >= 2)


def test_a_mark_begins_a_new_sample_at_once() -> None:
    with closing(Sampler(dict, Probes())) as sampler:
        wait_until(lambda: bool(sampler.samples))
        time.sleep(0.2)  # a mark right after a sample takes none
        asked = time.perf_counter_ns()
        sampler.mark()
        marked = sampler.samples[-1]
        assert marked.ended_ns >= asked
        with sampler.recording() as samples:
            wait_until(lambda: bool(samples))
        assert samples[0].began_ns == marked.ended_ns, "nothing lies between two samples"
        assert sampler.latest.seconds > 0.5, "what is shown spans a second"


def test_probes_are_told_whose_load_to_tell_apart(worker: subprocess.Popen[str]) -> None:
    npu = StubGauge()
    with closing(Sampler(lambda: {"lane": worker.pid}, Probes(npu=[npu]))):
        wait_until(lambda: bool(npu.moments and npu.moments[-1].pids))
        children = {each.pid for each in psutil.Process(worker.pid).children()}
        assert npu.moments[-1].pids == {"lane": {worker.pid, *children}}
