"""Which probes a Linux machine gets, on stubs of machines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from playground.gauges import linux
from playground.gauges.readings import PACKAGE
from tests.support.gauge_trees import NPU, StubMachine, after, meteor_lake, meter_reader, read_one
from tests.support.machines import AMD, INTEL, NVIDIA

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which need privileges there"
)


def test_npus_without_load_have_a_reason(tmp_path: Path) -> None:
    machine = StubMachine(tmp_path)
    assert linux.npu_probes(machine.hardware, tmp_path) == []
    machine.plug_in(NPU, 0x120000, 0x8086, 0x643E)
    machine.plug_in("0000:00:0c.0", 0x120000, 0x8086, 0x7D1D, "intel_vpu", "accel/accel0")
    missing, old = linux.npu_probes(machine.hardware, tmp_path)
    assert "driver is missing. Install Intel's driver" in read_one(missing, after(1)).reason
    assert "Linux 6.11 and newer do" in read_one(old, after(1)).reason


def test_gpus_without_load_have_a_reason(tmp_path: Path) -> None:
    machine = StubMachine(tmp_path)
    assert linux.gpu_probes(machine.hardware, tmp_path) == []
    machine.plug_in("0000:01:00.0", 0x030000, NVIDIA, 0x28E0, "nouveau", "drm/renderD128")
    machine.plug_in("0000:02:00.0", 0x030000, 0x1A03, 0x2000, "ast")
    reasons = [
        read_one(probe, after(1)).reason for probe in linux.gpu_probes(machine.hardware, tmp_path)
    ]
    assert reasons == [
        "The nouveau driver does not report load. NVIDIA's own driver does.",
        "The ast driver does not report load.",
    ]


def test_graphics_cards_have_meters_of_their_own(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    machine.plug_in("0000:03:00.0", 0x030000, INTEL, 0x56A0, "i915", "drm/renderD129")
    machine.plug_in("0000:04:00.0", 0x030000, AMD, 0x744C, "amdgpu", "drm/renderD130")
    machine.plug_in("0000:05:00.0", 0x030000, AMD, 0x67DF, "amdgpu", "drm/renderD131")
    machine.at("0000:03:00.0", hwmon__hwmon5__energy1_input=0)
    machine.at("0000:04:00.0", hwmon__hwmon6__power1_average=180_500_000)
    machine.at(
        "0000:05:00.0", hwmon__hwmon7__power1_average=90_000_000
    )  # too old to report its form
    metrics = tmp_path / "sys/bus/pci/devices/0000:04:00.0/gpu_metrics"
    metrics.write_bytes(bytes((120, 0, 1, 3)) + bytes(116))
    read = meter_reader(machine)
    assert read(1)["0000:03:00.0"].reason == "measuring"
    machine.at("0000:03:00.0", hwmon__hwmon5__energy1_input=75_000_000)
    meters = read(2)
    watts = {key: meter.watts for key, meter in meters.items() if key != PACKAGE}
    assert watts == {"0000:03:00.0": 75, "0000:04:00.0": 180.5}
    machine.at("0000:04:00.0", power__runtime_status="suspended")
    assert "asleep" in read(3)["0000:04:00.0"].reason
