"""Loads and power on Windows, from stub counters of a laptop and from this machine's Windows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from playground.devices import Hardware, windows
from playground.gauges.readings import MEASURING, Gauge, LoadProbe, Meter, Moment, PowerProbe
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


class StubCounters(pdh.Counters):
    """The counters of a Windows laptop; other paths are missing."""

    def __init__(self, **values: Mapping[str, float]) -> None:
        paths = {"engines": ENGINES, "own": MEMORY[0], "shared": MEMORY[1], "power": POWER}
        self.values = {paths[name]: instances for name, instances in values.items()}
        self.collected = True

    def read(self, path: str, ns: int) -> Mapping[str, float] | None:
        if path not in self.values:
            raise CounterError(pdh.describe(0xC0000BB8, path))
        return self.values[path] if self.collected else None


def read(counters: pdh.Counters, pids: dict[str, set[int]] | None = None) -> dict[str, Gauge]:
    """The laptop's gauges by name."""
    hardware = windows.scan(laptop())
    moment = Moment(1, {lane: frozenset(ids) for lane, ids in (pids or {}).items()})
    probes = gpu_probes(hardware, counters) + npu_probes(hardware, counters)
    return {gauge.name: gauge for gauge in (probe.read(moment) for probe in probes)}


def meter(counters: pdh.Counters) -> Meter:
    (probe,) = power_probes((), counters)
    return probe.read(Moment(1))


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
    gauges = read(StubCounters(engines=busy_laptop()))
    assert gauges[ARC].percent == 63.0, "three processes on engine 5; 42.5 on the 3D engine"
    assert gauges[RTX].percent == 100.0, "105 from counters that tick separately"
    assert gauges[BOOST].percent == 93.25
    assert (gauges[RTX].key, gauges[BOOST].key) == ("1:62369", "0:66317")
    assert not any(gauge.reason or gauge.proxy for gauge in gauges.values())


def test_each_lane_shows_the_load_of_its_worker_and_its_children() -> None:
    lanes = {"openvino-genai:GPU:int4": {WORKER, CHILD}, "npu": {7100}, "not started": set[int]()}
    gauges = read(StubCounters(engines=busy_laptop()), lanes)
    assert gauges[ARC].per_lane == {"openvino-genai:GPU:int4": 61.0, "npu": 0.0}
    assert gauges[BOOST].per_lane == {"openvino-genai:GPU:int4": 0.0, "npu": 93.25}


def test_processes_come_and_go() -> None:
    counters = StubCounters(engines={engine(DWM, INTEL, 0, "3D"): 5.0})
    assert read(counters)[BOOST].reason == NO_WORK
    counters.values[ENGINES] = busy_laptop()
    assert read(counters)[BOOST].percent == 93.25
    counters.values[ENGINES] = {engine(DWM, INTEL, 0, "3D"): 5.0}
    gone = read(counters)
    assert (gone[ARC].percent, gone[BOOST].percent) == (5.0, None)


def test_a_device_without_engines_is_idle_if_its_memory_is_counted() -> None:
    memory = {f"luid_{NPU}_phys_0": 3e6, f"luid_{INTEL}_phys_0": 7e8}
    counters = StubCounters(engines={}, own={f"luid_{NPU}_phys_0": 1e6}, shared=memory)
    gauges = read(counters)
    assert (gauges[BOOST].percent, gauges[BOOST].memory_mb) == (0.0, 4.0)
    assert (gauges[ARC].memory_mb, gauges[RTX].memory_mb) == (700.0, None)
    assert (gauges[RTX].percent, gauges[RTX].reason) == (None, NO_WORK)


def test_linked_adapters_have_engines_of_their_own() -> None:
    both = {engine(GAME, INTEL, 0, adapter=0): 40.0, engine(GAME, INTEL, 0, adapter=1): 70.0}
    assert read(StubCounters(engines=both))[ARC].percent == 70.0


@pytest.mark.parametrize("impossible", [NAN, float("inf"), -3.0])
def test_impossible_values_are_ignored(impossible: float) -> None:
    values = {engine(DWM, INTEL, 0): impossible, engine(GAME, INTEL, 0): 7.0}
    assert read(StubCounters(engines=values))[ARC].percent == 7.0
    alone = read(StubCounters(engines={engine(DWM, INTEL, 0): impossible}))
    assert alone[ARC].percent is None
    assert meter(StubCounters(power={"RAPL_Package0_PKG": impossible})).watts is None


def test_the_spelling_of_an_instance_does_not_matter() -> None:
    values = {engine(GAME, INTEL, 0).upper(): 7.0, engine(DWM, INTEL, 0, "").lower(): 4.0}
    assert read(StubCounters(engines=values))[ARC].percent == 11.0
    unnamed = engine(GAME, INTEL, 3).removesuffix("_engtype_Compute")
    assert read(StubCounters(engines={unnamed: 9.0}))[ARC].percent == 9.0


# --- unknown figures -------------------------------------------------------------------------


def test_a_missing_counter_costs_its_own_gauge() -> None:
    counters = StubCounters(power={"RAPL_Package0_PKG": 19_835.8})
    assert read(counters)[BOOST].reason == (
        "This Windows does not report the load of GPUs and NPUs (no counter “GPU Engine”)."
    )
    assert meter(counters).watts == pytest.approx(19.8358)
    counters = StubCounters(engines=busy_laptop())
    assert read(counters)[BOOST].percent == 93.25
    assert meter(counters).watts is None
    assert meter(counters).reason.startswith(
        "This Windows has no power meter (no counter “Energy Meter”)."
    )


def test_the_first_reading_is_still_measuring() -> None:
    counters = StubCounters(engines=busy_laptop(), power={})
    counters.collected = False
    reasons = {gauge.reason for gauge in read(counters).values()} | {meter(counters).reason}
    assert reasons == {MEASURING}


def test_a_device_without_a_luid_or_a_driver_has_a_reason() -> None:
    npu = Hardware("NPU", "Intel", "Intel(R) AI Boost", "8086:7d1d", "32.0.100.4239")
    counters = StubCounters(engines=busy_laptop())
    for device, reason in ((npu, NO_LUID), (replace(npu, problem="disabled"), STOPPED)):
        (probe,) = npu_probes([device], counters)
        assert probe.read(Moment(1)) == Gauge("Intel(R) AI Boost", reason=reason)
    assert gpu_probes([npu], counters) == []


def test_luids_come_from_the_device_or_from_direct3d_s_entry_of_this_start() -> None:
    machine = laptop()
    assert [device.luid for device in windows.scan(machine)] == ["0:58058", "1:62369", "0:66317"]
    machine.luids.clear()
    assert [device.luid for device in windows.scan(machine)] == ["0:58058", "1:62369", None]


def test_power_is_the_sum_of_the_packages_without_the_total() -> None:
    power = {"RAPL_Package0_PKG": 15_000.0, "rapl_package1_pkg": 2_500.0, "RAPL_Package0_PP0": 9e3}
    package = meter(StubCounters(power={**power, "_Total": 1e6}))
    assert (package.watts, package.reason) == (17.5, "")
    assert meter(StubCounters(power={"_Total": 0.0})).watts is None
    assert meter(StubCounters(power={"RAPL_Package0_PKG": 0.0})).reason


def test_an_nvidia_card_has_a_meter_of_its_own() -> None:
    power = StubCounters(power={"RAPL_Package0_PKG": 15_000.0})
    nvml = StubNvml()
    nvml.refuses = {"TotalEnergyConsumption"}
    package, card = power_probes(windows.scan(laptop()), power, nvml)
    assert package.read(Moment(1)).watts == 15
    reading = card.read(Moment(1))
    assert (reading.name, reading.watts, reading.covers) == (RTX, 45.5, "1:62369")


def test_the_probes_of_windows_load_none_of_linux() -> None:
    code = "import sys, playground.gauges.windows; print('playground.gauges.linux' in sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], encoding="utf-8")
    assert loaded.strip() == "False"


# --- this Windows ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "win32", reason="reads the counters")
def test_this_windows_gives_figures_or_reasons() -> None:
    hardware = [*windows.scan(windows.Registry())]
    hardware += [Hardware(kind, "x", "x", None, None, luid="0:1") for kind in ("GPU", "NPU")]
    probes: list[LoadProbe | PowerProbe] = [*gpu_probes(hardware), *npu_probes(hardware)]
    probes += power_probes(hardware)
    for probe in probes:
        for ns in (1, 2):
            reading = probe.read(Moment(ns))
            figure = reading.watts if isinstance(reading, Meter) else reading.percent
            assert (figure is None) == bool(reading.reason), reading
