"""Power meters on Linux, read from stubs of machines with recorded files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from playground.gauges import linux
from playground.gauges.readings import PACKAGE, Meter
from tests.gauges.test_gauges_linux import refuse
from tests.support.gauge_trees import (
    APU,
    CARD,
    StubMachine,
    StubNvml,
    after,
    amd_laptop,
    meteor_lake,
    with_nvidia,
)
from tests.support.machines import AMD, INTEL

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which take rights there"
)


def meters(machine: StubMachine, nvml: Any = None) -> Any:
    """A reader of all meters of the machine, by what they cover."""
    probes = linux.power_probes(machine.hardware, machine.root, nvml)

    def read(seconds: float) -> dict[str, Meter]:
        found = [meter for probe in probes for meter in probe.read(after(seconds))]
        assert all((each.watts is None) == bool(each.reason) for each in found)
        assert len({each.covers for each in found}) == len(found)
        return {each.covers: each for each in found}

    return read


def test_the_package_s_energy_becomes_watts(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    read = meters(machine)
    assert read(1)[PACKAGE].reason == "measuring"
    machine.energy(31_000_000)
    found = read(3)
    assert found[PACKAGE].watts == pytest.approx(15), "without its part and the whole board"
    assert list(found) == [PACKAGE], "a built-in GPU has no meter of its own"


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    machine.energy(262_143_328_850 - 4_000_000)
    read = meters(machine)
    read(1)
    machine.energy(8_000_000)
    assert read(2)[PACKAGE].watts == pytest.approx(12)


def test_several_sockets_are_summed(tmp_path: Path) -> None:
    machine = StubMachine(tmp_path)
    read = meters(machine)
    assert "modprobe intel_rapl_msr" in read(1)[PACKAGE].reason
    for second, uj in ((2, 0), (3, 40_000_000)):
        machine.energy(uj, "intel-rapl:0", "package-0")
        machine.energy(uj // 2, "intel-rapl:1", "package-1")
        meter = read(second)[PACKAGE]
    assert meter.watts == pytest.approx(60), "found although its module was loaded later"


def test_a_counter_that_only_root_may_read_says_how_to_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = meters(meteor_lake(tmp_path))
    refuse(monkeypatch, "energy_uj")
    reason = read(1)[PACKAGE].reason
    assert "Only root may read" in reason and "since Linux 5.10" in reason
    assert reason.endswith("sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj")
    assert "secrets" in reason, "a person knows what that opens"


def test_an_amd_chip_s_own_figure_stands_in_for_rapl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = amd_laptop(tmp_path)
    machine.energy(0)
    read = meters(machine)
    with monkeypatch.context() as patch:
        refuse(patch, "energy_uj")
        meter = read(1)[PACKAGE]
        assert meter.watts == 21 and meter.source == "amdgpu's power1_input (hwmon)"
        (tmp_path / f"sys/bus/pci/devices/{APU}/hwmon/hwmon4/power1_input").write_text("")
    assert read(2)[PACKAGE].reason == "measuring", "RAPL can be read now, and comes first"


def test_cards_have_meters_of_their_own(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    machine.plug_in("0000:03:00.0", 0x030000, INTEL, 0x56A0, "i915", "drm/renderD129")
    machine.plug_in("0000:04:00.0", 0x030000, AMD, 0x744C, "amdgpu", "drm/renderD130")
    machine.plug_in("0000:05:00.0", 0x030000, AMD, 0x67DF, "amdgpu", "drm/renderD131")
    machine.at("0000:03:00.0", hwmon__hwmon5__energy1_input=0)
    machine.at("0000:04:00.0", hwmon__hwmon6__power1_average=180_500_000)
    machine.at("0000:05:00.0", hwmon__hwmon7__power1_average=90_000_000)  # too old to tell its make
    metrics = tmp_path / "sys/bus/pci/devices/0000:04:00.0/gpu_metrics"
    metrics.write_bytes(bytes((120, 0, 1, 3)) + bytes(116))
    read = meters(machine)
    assert read(1)["0000:03:00.0"].reason == "measuring"
    machine.at("0000:03:00.0", hwmon__hwmon5__energy1_input=75_000_000)
    found = read(2)
    watts = {key: meter.watts for key, meter in found.items() if key != PACKAGE}
    assert watts == {"0000:03:00.0": 75, "0000:04:00.0": 180.5}
    machine.at("0000:04:00.0", power__runtime_status="suspended")
    assert "asleep" in read(3)["0000:04:00.0"].reason


def test_nvidia_s_energy_is_taken_before_its_power(tmp_path: Path) -> None:
    nvml = StubNvml()
    read = meters(with_nvidia(tmp_path), nvml)
    assert read(1)[CARD].reason == "measuring"
    nvml.energy_mj += 88_000
    meter = read(3)[CARD]
    assert (meter.watts, meter.source) == (44, "NVML's energy")
    nvml.energy_mj = 0
    assert read(4)[CARD].watts is None, "a driver that was loaded anew"
    nvml.refuses = {"TotalEnergyConsumption"}
    assert read(5)[CARD].watts == 45.5
    nvml.refuses.add("PowerUsage")
    assert "tells no power" in read(6)[CARD].reason
