"""Intel's GPUs and NPUs on Linux, read from stubs of machines with recorded files."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from playground.gauges import linux
from playground.gauges.linux.intel import IntelGpu
from tests.support.gauge_trees import (
    CARD,
    CARD_NODE,
    IGPU,
    NPU,
    RENDER,
    after,
    deny,
    first_gpu,
    i915,
    lunar_lake,
    meteor_lake,
    read_one,
)

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which need privileges there"
)


def test_busy_time_of_an_intel_npu_becomes_percent(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    (probe,) = linux.npu_probes(machine.hardware, tmp_path)
    assert probe.name == "Intel NPU (Meteor Lake)"
    assert read_one(probe, after(10)).reason == "measuring"
    machine.at(NPU, npu_busy_time_us=7_930_000, npu_current_frequency_mhz=1400)
    machine.at(NPU, npu_memory_utilization=2_000_000_000)
    gauge = read_one(probe, after(11))
    assert gauge.percent == pytest.approx(93)
    assert (gauge.mhz, gauge.memory_mb, gauge.key) == (1400, 2000, NPU)
    machine.at(NPU, npu_busy_time_us=9_000_000)
    assert read_one(probe, after(12)).percent == 100, "clocks that tick separately"
    machine.at(NPU, npu_busy_time_us=0)
    assert read_one(probe, after(13)).percent is None, "the driver was reloaded"
    machine.at(NPU, npu_busy_time_us=500_000)
    assert read_one(probe, after(14)).percent == pytest.approx(50)


def test_an_npu_that_is_gone_raises_and_one_without_permission_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = meteor_lake(tmp_path)
    (probe,) = linux.npu_probes(machine.hardware, tmp_path)
    with monkeypatch.context() as patch:
        deny(patch, "npu_busy_time_us")
        assert "sudo chmod a+r /" in read_one(probe, after(1)).reason
    shutil.rmtree(tmp_path / f"sys/bus/pci/devices/{NPU}")
    with pytest.raises(FileNotFoundError):
        probe.read(after(2))


def test_without_workers_an_intel_gpu_has_a_proxy_that_is_labelled(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    assert read_one(probe, after(1)).reason == "measuring"
    machine.at(IGPU, drm__card0__gt__gt0__rc6_residency_ms=5300)
    machine.at(IGPU, drm__card0__gt__gt1__rc6_residency_ms=6000)
    machine.at(IGPU, drm__card0__gt__gt0__rps_act_freq_mhz=2250)
    machine.opens(300, 0, "socket:[1]")
    gauge = read_one(probe, after(2, ended={1}, elsewhere={300}))
    assert gauge.percent == pytest.approx(70), "the busiest gt"
    assert gauge.per_lane == {"elsewhere": 0}, "a lane that does not use this GPU"
    assert gauge.proxy and gauge.source.startswith("proxy") and "rc6" in gauge.source
    assert (gauge.mhz, gauge.key) == (2250, IGPU)


def xe(cycles: int, total: int) -> tuple[str, ...]:
    return (
        f"drm-cycles-ccs:\t{cycles}",
        f"drm-total-cycles-ccs:\t{total}",
        "drm-engine-capacity-ccs:\t4",
        "drm-cycles-rcs:\t0",
        f"drm-total-cycles-rcs:\t{total}",
        "drm-resident-gtt:\t192 KiB",
    )


def test_lunar_lake_with_xe_counts_cycles(tmp_path: Path) -> None:
    machine = lunar_lake(tmp_path)
    probe = first_gpu(machine)
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(1000, 7_000_000))
    read_one(probe, after(1, lane={100}))
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(1000 + 19_200_000, 7_000_000 + 19_200_000))
    gauge = read_one(probe, after(2, lane={100}))
    assert gauge.percent == pytest.approx(25), "one of four engines all the time"
    assert gauge.mhz == 1950
    assert gauge.memory_mb == pytest.approx(0.196608)
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(0, 100))
    assert read_one(probe, after(3, lane={100})).percent is None, "its clock was reset"
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(2000, 1100))
    assert read_one(probe, after(3.5, lane={100})).percent == pytest.approx(50)
    machine.at(IGPU, tile0__gt0__gtidle__idle_residency_ms=90_000, power__runtime_status="active")
    machine.at(IGPU, tile0__gt1__gtidle__idle_residency_ms=92_000)
    proxy = read_one(probe, after(4))
    assert proxy.percent == pytest.approx(100) and "gtidle" in proxy.source


def test_each_of_two_gpus_has_its_own_clients(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    machine.plug_in(CARD, 0x030000, 0x8086, 0x56A0, "i915", "drm/renderD129")
    built_in, card = linux.gpu_probes(machine.hardware, tmp_path)
    for second, ns in ((1, 0), (2, 600_000_000)):
        machine.uses(100, 5, RENDER, 1, IGPU, *i915(ns // 2))
        machine.uses(100, 6, CARD_NODE, 1, CARD, *i915(ns))  # the same client id at another GPU
        machine.uses(100, 7, CARD_NODE, 2, IGPU, *i915(ns))  # nodes renamed in a container
        moment = after(second, lane={100})
        loads = [read_one(probe, moment).percent for probe in (built_in, card)]
    assert loads == [pytest.approx(30), pytest.approx(60)]
    machine.at(CARD, power__runtime_status="suspended")
    asleep = read_one(card, after(3, lane={100}))
    assert asleep.percent == 0 and "asleep" in asleep.source
    machine.at(CARD, power__runtime_status="active")
    assert read_one(card, after(99, lane={100})).reason == "measuring", (
        "not the average of its sleep"
    )
    (tmp_path / "proc/100/fd/6").unlink()
    assert "does not report its idle time" in read_one(card, after(100, lane={100})).reason


def test_an_intel_gpu_that_is_gone_or_without_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = meteor_lake(tmp_path)
    probe = IntelGpu(machine.hardware[0], tmp_path)
    with monkeypatch.context() as patch:
        deny(patch, "rc6_residency_ms")
        assert "rc6_residency_ms. To allow it" in read_one(probe, after(1)).reason
    shutil.rmtree(tmp_path / f"sys/bus/pci/devices/{IGPU}")
    with pytest.raises(FileNotFoundError):
        probe.read(after(2))
