"""AMD's GPUs and NPUs on Linux, read from stubs of machines with recorded files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from playground.gauges import linux
from playground.gauges.readings import PACKAGE
from tests.support.gauge_trees import (
    ACCEL,
    APU,
    RENDER,
    XDNA,
    after,
    amd_laptop,
    deny,
    first_gpu,
    meter_reader,
    read_one,
)

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which need privileges there"
)


def test_an_amd_npu_is_read_if_its_driver_counts(tmp_path: Path) -> None:
    machine = amd_laptop(tmp_path)
    (probe,) = linux.npu_probes(machine.hardware, tmp_path)
    assert "no lane uses this NPU" in read_one(probe, after(1, npu={50})).reason
    machine.uses(50, 4, ACCEL, 1, XDNA, "drm-total-memory:\t8 KiB")
    assert "github.com/amd/xdna-driver" in read_one(probe, after(2, npu={50})).reason
    for second, ns in ((3, 0), (4, 820_000_000)):
        machine.uses(50, 4, ACCEL, 1, XDNA, f"drm-engine-amdxdna_accel_driver:\t{ns} ns")
        gauge = read_one(probe, after(second, npu={50}))
    assert gauge.percent == pytest.approx(82) and gauge.per_lane == {"npu": pytest.approx(82)}


def test_an_amd_gpu_reports_its_load_and_fdinfo_the_lanes(tmp_path: Path) -> None:
    machine = amd_laptop(tmp_path)
    probe = first_gpu(machine)
    machine.uses(100, 5, RENDER, 1, APU, "drm-engine-gfx:\t7 ns")
    machine.uses(200, 5, RENDER, 2, APU)
    machine.opens(200, 6, "/dev/kfd")
    gauge = read_one(probe, after(1, vulkan={100}, rocm={200}))
    assert (gauge.percent, gauge.memory_mb, gauge.mhz) == (37, 3512, 2700)
    assert gauge.per_lane == {}
    new = ("drm-engine-gfx:\t7 ns", "drm-engine-compute:\t310000000 ns")
    machine.uses(100, 5, RENDER, 1, APU, *new)  # amdgpu lists an engine after its first use
    lanes = read_one(probe, after(2, vulkan={100}, rocm={200})).per_lane
    assert lanes == {"vulkan": pytest.approx(31)}, "fdinfo does not count ROCm's work"
    (tmp_path / f"sys/bus/pci/devices/{APU}/gpu_busy_percent").unlink()
    with pytest.raises(FileNotFoundError):
        probe.read(after(3))
    assert "does not report this GPU's load" in read_one(first_gpu(machine), after(3)).reason


def test_an_amd_chip_s_own_figure_replaces_an_unreadable_rapl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = amd_laptop(tmp_path)
    machine.energy(0)
    read = meter_reader(machine)
    with monkeypatch.context() as patch:
        deny(patch, "energy_uj")
        meter = read(1)[PACKAGE]
        assert meter.watts == 21 and meter.source == "amdgpu's power1_input (hwmon)"
        (tmp_path / f"sys/bus/pci/devices/{APU}/hwmon/hwmon4/power1_input").write_text("")
    assert read(2)[PACKAGE].reason == "measuring", "RAPL is readable now, and comes first"
