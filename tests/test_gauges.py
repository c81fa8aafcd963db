"""CPU and memory gauges against loads of known size."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from playground.gauges.sampler import Sample, Sampler
from playground.gauges.workers import Workers

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


def test_the_sampler_reads_once_a_second_and_the_machine_s_memory_agrees() -> None:
    sampler = Sampler(dict)
    assert sampler.latest == Sample(), "unknown before the first second, not 0"
    end = time.monotonic() + 10
    while len(sampler.ring) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    sampler.close()
    memory = psutil.virtual_memory()
    used = (memory.total - memory.available) / 1e6
    assert sampler.latest.memory_total_mb == pytest.approx(memory.total / 1e6)
    assert sampler.latest.memory_used_mb == pytest.approx(used, rel=0.2)
    assert 0 <= (sampler.latest.cpu_percent or 0) <= 100


def test_a_gauge_that_fails_does_not_end_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> dict[str, int]:
        calls.append(1)
        raise RuntimeError("a driver went away")

    calls: list[int] = []
    sampler = Sampler(fails)
    end = time.monotonic() + 10
    while len(calls) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    sampler.close()
    assert len(calls) >= 2
