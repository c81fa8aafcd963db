"""NVIDIA's GPUs, read from a stub of NVML."""

from __future__ import annotations

import sys
from pathlib import Path

import pynvml
import pytest

from playground.gauges import linux
from tests.support.gauge_trees import CARD, StubNvml, after, meter_reader, read_one, with_nvidia

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which need privileges there"
)


def test_nvml_reports_the_gpu_and_its_lanes(tmp_path: Path) -> None:
    nvml = StubNvml()
    machine = with_nvidia(tmp_path)
    _, probe = linux.gpu_probes(machine.hardware, tmp_path, nvml)
    lanes = {"torch": {100, 101}, "other": {200}, "cpu": {300}}
    gauge = read_one(probe, after(1, **lanes))
    assert (gauge.percent, gauge.source, gauge.key) == (64, "NVML", CARD)
    assert (gauge.memory_mb, gauge.mhz) == (2500, 2100)
    assert gauge.per_lane == {}, "NVML may not have sampled since"
    idle = read_one(probe, after(2, **lanes)).per_lane
    assert idle == {"torch": 0, "other": 0}, "both have opened it, and neither computed"
    nvml.busy = {100: 48, 101: 12, 999: 4}
    assert read_one(probe, after(2, **lanes)).per_lane == {"torch": 60, "other": 0}
    nvml.refuses = {"ProcessUtilization", "MemoryInfo"}
    unsupported = read_one(probe, after(3, **lanes))
    assert (unsupported.per_lane, unsupported.memory_mb, unsupported.percent) == ({}, None, 64)
    nvml.refuses = {"UtilizationRates"}
    assert "NVML does not report" in read_one(probe, after(4, **lanes)).reason


def test_a_sleeping_gpu_is_not_woken(tmp_path: Path) -> None:
    nvml = StubNvml()
    machine = with_nvidia(tmp_path)
    machine.at(CARD, power__runtime_status="suspended")
    _, probe = linux.gpu_probes(machine.hardware, tmp_path, nvml)
    gauge = read_one(probe, after(1))
    assert (gauge.percent, gauge.source) == (0.0, "asleep (runtime power management)")
    assert nvml.started == 0


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "libnvidia-compute"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "After an update of the driver, restart."),
    ],
)
def test_an_nvml_that_does_not_start_has_a_remedy(tmp_path: Path, code: int, remedy: str) -> None:
    nvml = StubNvml()
    nvml.broken = code
    machine = with_nvidia(tmp_path)
    _, probe = linux.gpu_probes(machine.hardware, tmp_path, nvml)
    assert remedy in read_one(probe, after(1)).reason
    nvml.broken = 0
    assert read_one(probe, after(2)).percent == 64, "as soon as it starts"


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="for machines without NVIDIA's driver")
def test_the_real_nvml_without_nvidia_has_a_reason(tmp_path: Path) -> None:
    _, probe = linux.gpu_probes(with_nvidia(tmp_path).hardware, tmp_path)
    assert "libnvidia-ml.so.1 is missing" in read_one(probe, after(1)).reason


def test_the_energy_counter_is_preferred_to_momentary_power(tmp_path: Path) -> None:
    nvml = StubNvml()
    read = meter_reader(with_nvidia(tmp_path), nvml)
    assert read(1)[CARD].reason == "measuring"
    nvml.energy_mj += 88_000
    meter = read(3)[CARD]
    assert (meter.watts, meter.source) == (44, "NVML's energy")
    nvml.energy_mj = 0
    assert read(4)[CARD].watts is None, "the driver was reloaded"
    nvml.refuses = {"TotalEnergyConsumption"}
    assert read(5)[CARD].watts == 45.5
    nvml.refuses.add("PowerUsage")
    assert "does not report this GPU's power" in read(6)[CARD].reason
