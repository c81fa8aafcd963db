"""The workers' use of a GPU, from the kernel's statistics (fdinfo) on stubs of machines."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from playground.gauges.linux import drm
from tests.support.gauge_trees import IGPU, RENDER, after, first_gpu, i915, meteor_lake, read_one

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which need privileges there"
)


def test_two_lanes_are_separated_and_each_client_counts_once(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    lanes = {"int4": {100, 101}, "int8": {200}, "cpu": {300}}
    machine.opens(100, 0, "/dev/null")
    machine.opens(300, 0, "socket:[1]")
    for second, int4, child, int8 in ((1, 0, 10**9, 5), (2, 300_000_000, 1_100_000_000, 5)):
        for fd in (5, 6, 7):  # three file descriptors of one opening
            machine.uses(100, fd, RENDER, 11, IGPU, *i915(int4, video_ns=int4))
        machine.uses(101, 5, RENDER, 12, IGPU, *i915(child))
        machine.uses(200, 9, RENDER, 13, IGPU, *i915(int8, video_ns=10**9 * second))
        gauge = read_one(probe, after(second, **lanes))
        assert gauge.source == "our workers' use (fdinfo)" and not gauge.proxy
    assert gauge.per_lane == {
        "int4": pytest.approx(40),  # render: 300 + 100 of 1000 ms
        "int8": pytest.approx(50),  # one of two video engines
        "cpu": 0,  # has not opened it
    }
    assert gauge.percent == pytest.approx(65), "video: 30/2 + 100/2"
    assert gauge.memory_mb == pytest.approx(3 * 1000 * 1.048576)


def test_a_worker_that_ends_is_left_out_and_a_new_one_needs_two_readings(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    machine.uses(100, 5, RENDER, 1, IGPU, *i915(0))
    assert read_one(probe, after(1, old={100})).reason == "measuring"
    machine.uses(200, 5, RENDER, 2, IGPU, *i915(10**9))
    machine.uses(100, 5, RENDER, 1, IGPU, *i915(250_000_000))
    both = read_one(probe, after(2, old={100}, new={200}))
    assert both.per_lane == {"old": pytest.approx(25)} and both.percent == pytest.approx(25)
    shutil.rmtree(tmp_path / "proc/100")
    (tmp_path / "proc/200/fdinfo/5").unlink()
    assert read_one(probe, after(3, old={100}, new={200})).proxy, "no worker uses it any more"


def test_a_busy_time_that_falls_back_counts_again_after_its_maximum(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    loads = []
    for second, ns in enumerate((500_000_000, 400_000_000, 900_000_000)):
        machine.uses(100, 5, RENDER, 1, IGPU, *i915(ns))
        loads.append(read_one(probe, after(1 + second, lane={100})).percent)
    assert loads == [None, 0, pytest.approx(40)]


def test_statistics_of_other_drivers_are_ignored() -> None:
    assert drm.parse_fdinfo("pos:\t0\nflags:\t02\n") is None
    assert drm.parse_fdinfo("drm-client-id: 4\ndrm-cycles-rcs: 5\n") == drm.DrmClient("4", "")
    assert [drm.parse_size(size) for size in ("7", "2 KiB", "3 MiB")] == [7, 2048, 3 << 20]
