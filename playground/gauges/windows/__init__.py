"""GPUs, NPUs and power on Windows: what its performance counters say."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from playground.devices import Hardware
from playground.devices.windows import luid
from playground.gauges.linux.pci import MEASURING
from playground.gauges.nvidia import NvidiaGpuPower
from playground.gauges.readings import Gauge, LoadProbe, Meter, Moment, PowerProbe
from playground.gauges.windows.pdh import CounterError, Counters, LocalCounters

ENGINES = r"\GPU Engine(*)\Utilization Percentage"  # of GPUs and, as one more adapter each, NPUs
MEMORY = (r"\GPU Adapter Memory(*)\Dedicated Usage", r"\GPU Adapter Memory(*)\Shared Usage")
POWER = r"\Energy Meter(*)\Power"  # mW

ENGINE = re.compile(r"pid_(\d+)_luid_0x([0-9a-f]+)_0x([0-9a-f]+)_phys_(\d+)_eng_(\d+)(?:_|$)", re.I)
ADAPTER = re.compile(r"luid_0x([0-9a-f]+)_0x([0-9a-f]+)_phys_\d+", re.I)

STOPPED = "Windows does not run this device: its driver is missing, disabled or failed to start."
NO_LUID = "Windows does not say which counters are this device's; a newer driver may help."
NO_WORK = (
    "Windows counts no work of this device: no program has used it yet, or its driver was "
    "restarted. If it stays so while a lane runs on it, restart the playground."
)
NO_METER = "Windows meters the power of some laptops only."

Engines = Mapping[tuple[int, int], Mapping[int, float]]  # percent by adapter and engine, by pid


def gpu_probes(hardware: Iterable[Hardware], counters: Counters | None = None) -> list[LoadProbe]:
    return _probes("GPU", hardware, counters)


def npu_probes(hardware: Iterable[Hardware], counters: Counters | None = None) -> list[LoadProbe]:
    return _probes("NPU", hardware, counters)


def power_probes(
    hardware: Iterable[Hardware] = (), counters: Counters | None = None, nvml: Any = None
) -> list[PowerProbe]:
    """The package's meter first, then those of NVIDIA's cards. nvml: as NvidiaGpuPower has it."""
    nvidia = [each for each in hardware if each.vendor == "NVIDIA" and each.kind == "GPU"]
    cards = [NvidiaGpuPower(each, library=nvml) for each in nvidia if each.address]
    return [PackagePower(counters or _local()), *cards]


def _probes(kind: str, hardware: Iterable[Hardware], counters: Counters | None) -> list[LoadProbe]:
    shared = counters or _local()
    return [DeviceLoad(each, shared) for each in hardware if each.kind == kind]


@cache
def _local() -> Counters:
    """One for all probes: they are collected together."""
    return LocalCounters((ENGINES, *MEMORY, POWER))


class DeviceLoad:
    """A device's busiest engine, as Task Manager has it: on each, all processes together."""

    def __init__(self, device: Hardware, counters: Counters) -> None:
        self.name = device.name
        self._device = device
        self._counters = counters

    def read(self, moment: Moment) -> list[Gauge]:
        return [self._gauge(moment)]

    def _gauge(self, moment: Moment) -> Gauge:
        key = self._device.luid
        unknown = Gauge(self.name, key=key or "")
        if self._device.problem:
            return unknown.unknown(STOPPED)
        if key is None:
            return unknown.unknown(NO_LUID)
        try:
            values = self._counters.read(ENGINES, moment.ns)
        except CounterError as error:
            return unknown.unknown(f"This Windows gives no load of GPUs and NPUs ({error}).")
        if values is None:
            return unknown.unknown(MEASURING)
        engines, memory_mb = _engines(values, key), self._memory_mb(key, moment.ns)
        # One that no process has open has no engines here, but its memory is still counted.
        if not engines and memory_mb is None:
            return unknown.unknown(NO_WORK)
        return Gauge(
            name=self.name,
            percent=busiest(engines),
            source="Windows counter GPU Engine",
            per_lane={lane: busiest(engines, pids) for lane, pids in moment.pids.items() if pids},
            key=key,
            memory_mb=memory_mb,
        )

    def _memory_mb(self, key: str, ns: int) -> float | None:
        """Its own and the machine's that it uses."""
        try:
            read = [self._counters.read(path, ns) or {} for path in MEMORY]
        except CounterError:
            return None
        used = [
            value
            for values in read
            for instance, value in values.items()
            if _adapter(instance) == key and _usable(value)
        ]
        return sum(used) / 1e6 if used else None


class PackagePower:
    """What the processor's own meter says: cores, built-in GPU and NPU, of all packages."""

    name = "package"

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def read(self, moment: Moment) -> list[Meter]:
        return [self._meter(moment)]

    def _meter(self, moment: Moment) -> Meter:
        unknown = Meter(self.name)
        try:
            values = self._counters.read(POWER, moment.ns)
        except CounterError as error:
            return unknown.unknown(f"This Windows gives no power meter ({error}). {NO_METER}")
        if values is None:
            return unknown.unknown(MEASURING)
        # Instances: RAPL_Package0_PKG, _PP0, _PP1, _DRAM, and a _Total that is 0 on some machines.
        packages = [v for name, v in values.items() if name.upper().endswith("_PKG")]
        watts = sum(filter(_usable, packages)) / 1e3
        if watts <= 0:  # a chip that runs this takes some
            return unknown.unknown(f"This Windows gives no power of the processor. {NO_METER}")
        return Meter(self.name, watts, source="Windows counter Energy Meter")


def busiest(engines: Engines, pids: Collection[int] | None = None) -> float:
    """0..100. pids: those that count; all unless told."""
    sums = (
        sum(value for pid, value in by_pid.items() if pids is None or pid in pids)
        for by_pid in engines.values()
    )
    return min(max(sums, default=0.0), 100.0)


def _engines(values: Mapping[str, float], key: str) -> Engines:
    """Those of the device with this LUID."""
    found: dict[tuple[int, int], dict[int, float]] = {}
    for instance, value in values.items():
        use = _use(instance)
        if use and use[0] == key and _usable(value):
            _, engine, pid = use
            found.setdefault(engine, {})[pid] = value
    return found


@lru_cache(maxsize=4096)  # some hundreds each second, nearly all of them the same
def _use(instance: str) -> tuple[str, tuple[int, int], int] | None:
    """LUID, adapter and engine, process."""
    found = ENGINE.match(instance)
    if not found:
        return None
    pid, high, low, adapter, engine = found.groups()
    return _luid(high, low), (int(adapter), int(engine)), int(pid)


@lru_cache(maxsize=256)
def _adapter(instance: str) -> str | None:
    found = ADAPTER.match(instance)
    return _luid(found[1], found[2]) if found else None


def _luid(high: str, low: str) -> str:
    """As Hardware has it."""
    return luid(int(high, 16) << 32 | int(low, 16))


def _usable(value: float) -> bool:
    """A counter whose provider hiccups gives what it likes."""
    return math.isfinite(value) and value >= 0
