"""The package's power on Linux, read from stubs of machines with recorded files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from playground.gauges.readings import PACKAGE
from tests.support.gauge_trees import StubMachine, deny, meteor_lake, meter_reader

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which need privileges there"
)


def test_the_energy_of_the_package_becomes_watts(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    read = meter_reader(machine)
    assert read(1)[PACKAGE].reason == "measuring"
    machine.energy(31_000_000)
    meters = read(3)
    assert meters[PACKAGE].watts == pytest.approx(15), (
        "without the package's parts and the whole board"
    )
    assert list(meters) == [PACKAGE], "a built-in GPU has no meter of its own"


def test_a_counter_may_wrap_around(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    machine.energy(262_143_328_850 - 4_000_000)
    read = meter_reader(machine)
    read(1)
    machine.energy(8_000_000)
    assert read(2)[PACKAGE].watts == pytest.approx(12)


def test_several_sockets_are_added(tmp_path: Path) -> None:
    machine = StubMachine(tmp_path)
    read = meter_reader(machine)
    assert "modprobe intel_rapl_msr" in read(1)[PACKAGE].reason
    for second, uj in ((2, 0), (3, 40_000_000)):
        machine.energy(uj, "intel-rapl:0", "package-0")
        machine.energy(uj // 2, "intel-rapl:1", "package-1")
        meter = read(second)[PACKAGE]
    assert meter.watts == pytest.approx(60), "although its module was loaded later"


def test_a_counter_that_only_root_may_read_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = meter_reader(meteor_lake(tmp_path))
    deny(monkeypatch, "energy_uj")
    reason = read(1)[PACKAGE].reason
    assert "Only root may read" in reason and "since Linux 5.10" in reason
    assert reason.endswith("sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj")
    assert "secrets" in reason, "the risk is stated"
