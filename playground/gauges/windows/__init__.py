"""GPUs, NPUs and power on Windows, read from its performance counters."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache
from types import ModuleType

from playground.devices import Hardware
from playground.devices.windows import luid
from playground.gauges.nvidia import NvidiaGpuPower
from playground.gauges.readings import MEASURING, Gauge, LoadProbe, Meter, Moment, PowerProbe
from playground.gauges.windows.pdh import CounterError, Counters

ENGINES = r"\GPU Engine(*)\Utilization Percentage"  # of GPUs; an NPU is one more adapter
MEMORY = (r"\GPU Adapter Memory(*)\Dedicated Usage", r"\GPU Adapter Memory(*)\Shared Usage")
POWER = r"\Energy Meter(*)\Power"  # mW

ENGINE = re.compile(r"pid_(\d+)_luid_0x([0-9a-f]+)_0x([0-9a-f]+)_phys_(\d+)_eng_(\d+)(?:_|$)", re.I)
ADAPTER = re.compile(r"luid_0x([0-9a-f]+)_0x([0-9a-f]+)_phys_\d+", re.I)

STOPPED = "Windows has not started this device: its driver is missing, disabled or failed to start."
NO_LUID = "Windows does not report which counters belong to this device; a newer driver may help."
NO_WORK = (
    "Windows has no counters for this device: no program has used it yet, or its driver was "
    "restarted. If this persists while a lane runs on it, restart the playground."
)
NO_METER = "Only some laptops have one."

Engines = Mapping[tuple[int, int], Mapping[int, float]]  # (adapter, engine) → pid → percent


def gpu_probes(hardware: Iterable[Hardware], counters: Counters | None = None) -> list[LoadProbe]:
    return _probes("GPU", hardware, counters)


def npu_probes(hardware: Iterable[Hardware], counters: Counters | None = None) -> list[LoadProbe]:
    return _probes("NPU", hardware, counters)


def power_probes(
    hardware: Iterable[Hardware] = (),
    counters: Counters | None = None,
    nvml: ModuleType | None = None,
) -> list[PowerProbe]:
    """The package's meter first, then those of NVIDIA's cards. nvml: as in Nvml."""
    nvidia = [gpu for gpu in hardware if gpu.vendor == "NVIDIA" and gpu.kind == "GPU"]
    cards = [NvidiaGpuPower(gpu, nvml) for gpu in nvidia if gpu.address]
    return [PackagePower(counters or _local_counters()), *cards]


def _probes(kind: str, hardware: Iterable[Hardware], counters: Counters | None) -> list[LoadProbe]:
    shared = counters or _local_counters()
    return [DeviceLoad(device, shared) for device in hardware if device.kind == kind]


@cache
def _local_counters() -> Counters:
    """Shared by all probes, so that everything is collected at once."""
    return Counters((ENGINES, *MEMORY, POWER))


class DeviceLoad:
    """The load of a device's busiest engine, summed over all processes, as in Task Manager."""

    def __init__(self, device: Hardware, counters: Counters) -> None:
        self.name = device.name
        self._device = device
        self._counters = counters

    def read(self, moment: Moment) -> Gauge:
        key = self._device.luid
        empty = Gauge(self.name, key=key or "")
        if self._device.problem:
            return empty.unknown(STOPPED)
        if key is None:
            return empty.unknown(NO_LUID)
        try:
            values = self._counters.read(ENGINES, moment.ns)
        except CounterError as error:
            return empty.unknown(
                f"This Windows does not report the load of GPUs and NPUs ({error})."
            )
        if values is None:
            return empty.unknown(MEASURING)
        engines, memory_mb = _engines(values, key), self._memory_mb(key, moment.ns)
        # A device that no process has opened has no engines here, but its memory is counted.
        if not engines and memory_mb is None:
            return empty.unknown(NO_WORK)
        return Gauge(
            name=self.name,
            percent=busiest(engines),
            source="Windows counter GPU Engine",
            per_lane={lane: busiest(engines, pids) for lane, pids in moment.pids.items() if pids},
            key=key,
            memory_mb=memory_mb,
        )

    def _memory_mb(self, key: str, ns: int) -> float | None:
        """The device's own memory in use, and what it uses of the machine's."""
        try:
            counters = [self._counters.read(path, ns) or {} for path in MEMORY]
        except CounterError:
            return None
        used = [
            value
            for values in counters
            for instance, value in values.items()
            if _adapter(instance) == key and _valid(value)
        ]
        return sum(used) / 1e6 if used else None


class PackagePower:
    """The power of all processor packages (cores, built-in GPU and NPU), by their own meters."""

    name = "package"

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def read(self, moment: Moment) -> Meter:
        empty = Meter(self.name)
        try:
            values = self._counters.read(POWER, moment.ns)
        except CounterError as error:
            return empty.unknown(f"This Windows has no power meter ({error}). {NO_METER}")
        if values is None:
            return empty.unknown(MEASURING)
        # Instances: RAPL_Package0_PKG, _PP0, _PP1, _DRAM, and a _Total that is 0 on some machines.
        packages = [mw for name, mw in values.items() if name.upper().endswith("_PKG")]
        watts = sum(filter(_valid, packages)) / 1e3
        if watts <= 0:  # impossible for a chip that runs this code
            return empty.unknown(f"This Windows has no power meter for the processor. {NO_METER}")
        return Meter(self.name, watts, source="Windows counter Energy Meter")


def busiest(engines: Engines, pids: Collection[int] | None = None) -> float:
    """The load of the busiest engine, 0..100. pids: the processes to count; default: all."""
    sums = (
        sum(value for pid, value in by_pid.items() if pids is None or pid in pids)
        for by_pid in engines.values()
    )
    return min(max(sums, default=0.0), 100.0)


def _engines(values: Mapping[str, float], key: str) -> Engines:
    """The engines of the device with this LUID."""
    engines: dict[tuple[int, int], dict[int, float]] = {}
    for instance, value in values.items():
        parsed = _parse_engine(instance)
        if parsed and parsed[0] == key and _valid(value):
            _, engine, pid = parsed
            engines.setdefault(engine, {})[pid] = value
    return engines


@lru_cache(maxsize=4096)  # some hundred names a second, nearly always the same
def _parse_engine(instance: str) -> tuple[str, tuple[int, int], int] | None:
    """LUID, (adapter, engine), process id."""
    match = ENGINE.match(instance)
    if not match:
        return None
    pid, high, low, adapter, engine = match.groups()
    return _luid(high, low), (int(adapter), int(engine)), int(pid)


@lru_cache(maxsize=256)
def _adapter(instance: str) -> str | None:
    """LUID."""
    match = ADAPTER.match(instance)
    return _luid(match[1], match[2]) if match else None


def _luid(high: str, low: str) -> str:
    """In the format of `Hardware.luid`."""
    return luid(int(high, 16) << 32 | int(low, 16))


def _valid(value: float) -> bool:
    """Some counter providers now and then return impossible values."""
    return math.isfinite(value) and value >= 0
