"""Loads and power on Windows: stub counters of a laptop, and this Windows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from playground.devices import Hardware, windows
from playground.gauges.linux.pci import MEASURING
from playground.gauges.readings import Gauge, Meter, Moment
from playground.gauges.windows import (
    ENGINES,
    MEMORY,
    NO_LUID,
    NO_WORK,
    POWER,
    STOPPED,
    gpu_probes,
    npu_probes,
    pdh,
    power_probes,
)
from playground.gauges.windows.pdh import CounterError
from tests.support.gauge_trees import StubNvml
from tests.support.machines import laptop

INTEL, NVIDIA, NPU = "0x00000000_0x0000E2CA", "0x00000001_0x0000F3A1", "0x00000000_0x0001030D"
DWM, WORKER, CHILD, GAME = 1240, 7010, 7044, 9000
NAN = float("nan")


def engine(pid: int, luid: str, number: int, kind: str = "Compute", adapter: int = 0) -> str:
    return f"pid_{pid}_luid_{luid}_phys_{adapter}_eng_{number}_engtype_{kind}"


class StubCounters:
    """What a Windows laptop's counters said; a path that is not there is missing."""

    def __init__(self, **values: Mapping[str, float]) -> None:
        paths = {"engines": ENGINES, "own": MEMORY[0], "shared": MEMORY[1], "power": POWER}
        self.values = {paths[name]: instances for name, instances in values.items()}
        self.collected = True

    def read(self, path: str, ns: int) -> Mapping[str, float] | None:
        if path not in self.values:
            raise CounterError(pdh.why(0xC0000BB8, path))
        return self.values[path] if self.collected else None


def read(counters: pdh.Counters, pids: dict[str, set[int]] | None = None) -> dict[str, Gauge]:
    """The laptop's, by name."""
    hardware = windows.scan(laptop())
    moment = Moment(1, {lane: frozenset(each) for lane, each in (pids or {}).items()})
    probes = gpu_probes(hardware, counters) + npu_probes(hardware, counters)
    return {gauge.name: gauge for probe in probes for gauge in probe.read(moment)}


def meter(counters: pdh.Counters) -> Meter:
    (probe,) = power_probes((), counters)
    (found,) = probe.read(Moment(1))
    return found


ARC, RTX, BOOST = (
    "Intel(R) Arc(TM) Graphics",
    "NVIDIA GeForce RTX 4060 Laptop GPU",
    "Intel(R) AI Boost",
)


def busy_laptop() -> dict[str, float]:
    return {
        engine(DWM, INTEL, 0, "3D"): 12.5,
        engine(GAME, INTEL, 0, "3D"): 30.0,
        engine(WORKER, INTEL, 5): 41.0,
        engine(CHILD, INTEL, 5): 20.0,
        engine(GAME, INTEL, 5): 2.0,
        engine(GAME, NVIDIA, 0, "3D"): 97.0,
        engine(DWM, NVIDIA, 0, "3D"): 8.0,
        engine(7100, NPU, 0): 93.25,
        "_Total": 300.0,
    }


# --- the laptop ------------------------------------------------------------------------------


def test_each_device_shows_its_busiest_engine_over_all_processes() -> None:
    found = read(StubCounters(engines=busy_laptop()))
    assert found[ARC].percent == 63.0, "three processes on engine 5; 42.5 on the 3D engine"
    assert found[RTX].percent == 100.0, "105 of counters that do not tick together"
    assert found[BOOST].percent == 93.25
    assert (found[RTX].key, found[BOOST].key) == ("1:62369", "0:66317")
    assert not any(each.reason or each.proxy for each in found.values())


def test_each_lane_shows_what_its_worker_and_its_children_cause() -> None:
    lanes = {"openvino-genai:GPU:int4": {WORKER, CHILD}, "npu": {7100}, "not started": set[int]()}
    found = read(StubCounters(engines=busy_laptop()), lanes)
    assert found[ARC].per_lane == {"openvino-genai:GPU:int4": 61.0, "npu": 0.0}
    assert found[BOOST].per_lane == {"openvino-genai:GPU:int4": 0.0, "npu": 93.25}


def test_processes_come_and_go() -> None:
    counters = StubCounters(engines={engine(DWM, INTEL, 0, "3D"): 5.0})
    assert read(counters)[BOOST].reason == NO_WORK
    counters.values[ENGINES] = busy_laptop()
    assert read(counters)[BOOST].percent == 93.25
    counters.values[ENGINES] = {engine(DWM, INTEL, 0, "3D"): 5.0}
    gone = read(counters)
    assert (gone[ARC].percent, gone[BOOST].percent) == (5.0, None)


def test_a_device_that_no_program_uses_is_idle_while_its_memory_is_counted() -> None:
    memory = {f"luid_{NPU}_phys_0": 3e6, f"luid_{INTEL}_phys_0": 7e8}
    counters = StubCounters(engines={}, own={f"luid_{NPU}_phys_0": 1e6}, shared=memory)
    found = read(counters)
    assert (found[BOOST].percent, found[BOOST].memory_mb) == (0.0, 4.0)
    assert (found[ARC].memory_mb, found[RTX].memory_mb) == (700.0, None)
    assert (found[RTX].percent, found[RTX].reason) == (None, NO_WORK)


def test_linked_adapters_have_engines_of_their_own() -> None:
    both = {engine(GAME, INTEL, 0, adapter=0): 40.0, engine(GAME, INTEL, 0, adapter=1): 70.0}
    assert read(StubCounters(engines=both))[ARC].percent == 70.0


@pytest.mark.parametrize("wrong", [NAN, float("inf"), -3.0])
def test_a_value_that_cannot_be_counts_for_nothing(wrong: float) -> None:
    values = {engine(DWM, INTEL, 0): wrong, engine(GAME, INTEL, 0): 7.0}
    assert read(StubCounters(engines=values))[ARC].percent == 7.0
    alone = read(StubCounters(engines={engine(DWM, INTEL, 0): wrong}))
    assert alone[ARC].percent is None
    assert meter(StubCounters(power={"RAPL_Package0_PKG": wrong})).watts is None


def test_the_spelling_of_an_instance_does_not_matter() -> None:
    values = {engine(GAME, INTEL, 0).upper(): 7.0, engine(DWM, INTEL, 0, "").lower(): 4.0}
    assert read(StubCounters(engines=values))[ARC].percent == 11.0
    unnamed = engine(GAME, INTEL, 3).removesuffix("_engtype_Compute")
    assert read(StubCounters(engines={unnamed: 9.0}))[ARC].percent == 9.0


# --- what is unknown -------------------------------------------------------------------------


def test_a_missing_counter_costs_its_own_gauge() -> None:
    counters = StubCounters(power={"RAPL_Package0_PKG": 19_835.8})
    assert read(counters)[BOOST].reason == (
        "This Windows gives no load of GPUs and NPUs (no counter “GPU Engine”)."
    )
    assert meter(counters).watts == pytest.approx(19.8358)
    counters = StubCounters(engines=busy_laptop())
    assert read(counters)[BOOST].percent == 93.25
    assert meter(counters).watts is None
    assert meter(counters).reason.startswith(
        "This Windows gives no power meter (no counter “Energy Meter”)."
    )


def test_the_first_reading_measures() -> None:
    counters = StubCounters(engines=busy_laptop(), power={})
    counters.collected = False
    reasons = {each.reason for each in read(counters).values()} | {meter(counters).reason}
    assert reasons == {MEASURING}


def test_a_device_without_a_luid_or_a_driver_says_so() -> None:
    npu = Hardware("NPU", "Intel", "Intel(R) AI Boost", "8086:7d1d", "32.0.100.4239")
    counters = StubCounters(engines=busy_laptop())
    for device, reason in ((npu, NO_LUID), (replace(npu, problem="disabled"), STOPPED)):
        (probe,) = npu_probes([device], counters)
        assert probe.read(Moment(1)) == [Gauge("Intel(R) AI Boost", reason=reason)]
    assert gpu_probes([npu], counters) == []


def test_luids_come_from_the_device_and_else_from_direct3d_s_entry_of_this_start() -> None:
    machine = laptop()
    assert [each.luid for each in windows.scan(machine)] == ["0:58058", "1:62369", "0:66317"]
    machine.luids.clear()
    assert [each.luid for each in windows.scan(machine)] == ["0:58058", "1:62369", None]


def test_power_is_the_sum_of_the_packages_and_no_total() -> None:
    power = {"RAPL_Package0_PKG": 15_000.0, "rapl_package1_pkg": 2_500.0, "RAPL_Package0_PP0": 9e3}
    found = meter(StubCounters(power={**power, "_Total": 1e6}))
    assert (found.watts, found.reason) == (17.5, "")
    assert meter(StubCounters(power={"_Total": 0.0})).watts is None
    assert meter(StubCounters(power={"RAPL_Package0_PKG": 0.0})).reason


def test_an_nvidia_card_has_a_meter_of_its_own() -> None:
    power = StubCounters(power={"RAPL_Package0_PKG": 15_000.0})
    nvml = StubNvml()
    nvml.refuses = {"TotalEnergyConsumption"}
    package, card = power_probes(windows.scan(laptop()), power, nvml)
    assert [each.watts for each in package.read(Moment(1))] == [15]
    (found,) = card.read(Moment(1))
    assert (found.name, found.watts, found.covers) == (RTX, 45.5, "1:62369")


# --- this Windows ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "win32", reason="reads the counters")
def test_this_windows_gives_figures_or_reasons() -> None:
    hardware = [*windows.scan(windows.LocalRegistry())]
    hardware += [Hardware(kind, "x", "x", None, None, luid="0:1") for kind in ("GPU", "NPU")]
    makers: list[Callable[..., list[Any]]] = [gpu_probes, npu_probes, power_probes]
    for probe in [probe for make in makers for probe in make(hardware)]:
        for ns in (1, 2):
            for each in probe.read(Moment(ns)):
                figure = each.watts if isinstance(each, Meter) else each.percent
                assert (figure is None) == bool(each.reason), each
