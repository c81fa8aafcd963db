"""CPU and memory of workers against loads of known size."""

from __future__ import annotations

import subprocess
import time

import psutil
import pytest

from playground.gauges.system import Workers

pytest_plugins = ["tests.support.busy_worker"]


def test_a_worker_s_load_includes_its_children(worker: subprocess.Popen[str]) -> None:
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


def test_a_worker_that_has_ended_is_left_out() -> None:
    assert Workers(lambda: {"lane": 2**22 + 1}).read() == {}
