"""The probes of a Linux machine: for each GPU and NPU the one of its driver; and power meters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from playground.devices import Hardware
from playground.gauges.linux.amd import AmdGpu, AmdGpuPower, AmdNpu
from playground.gauges.linux.intel import IntelGpu, IntelGpuPower, IntelNpu
from playground.gauges.linux.pci import GpuLoad, GpuPower
from playground.gauges.linux.rapl import Rapl
from playground.gauges.nvidia import NvidiaGpu, NvidiaGpuPower
from playground.gauges.readings import (
    MEASURING,
    Gauge,
    LoadProbe,
    Meter,
    Moment,
    PowerProbe,
    UnreadableProbe,
)

LOADS: dict[str, Callable[[Hardware, Path], LoadProbe]] = {  # by driver; NVIDIA's needs NVML
    "i915": IntelGpu,
    "xe": IntelGpu,
    "amdgpu": AmdGpu,
    "intel_vpu": IntelNpu,
    "amdxdna": AmdNpu,
}
HINTS = {
    "nouveau": "NVIDIA's own driver does.",
    "vfio-pci": "The device is assigned to a virtual machine.",
}


def gpu_probes(
    hardware: Iterable[Hardware], root: Path = Path("/"), nvml: ModuleType | None = None
) -> list[LoadProbe]:
    """nvml: as in Nvml."""
    return [_load(device, root, nvml) for device in hardware if device.kind == "GPU"]


def npu_probes(hardware: Iterable[Hardware], root: Path = Path("/")) -> list[LoadProbe]:
    return [_load(device, root, None) for device in hardware if device.kind == "NPU"]


def power_probes(
    hardware: Iterable[Hardware], root: Path = Path("/"), nvml: ModuleType | None = None
) -> list[PowerProbe]:
    """The package's meter first, then those of the graphics cards that have one."""
    gpus = [device for device in hardware if device.kind == "GPU"]
    amd = [device for device in gpus if driver_name(device) == "amdgpu"]
    apus = [AmdGpuPower(gpu, root) for gpu in amd if AmdGpuPower.supports(gpu, root, "apu")]
    probes: list[PowerProbe] = [RaplWithFallback(Rapl(root), apus)]
    for gpu in gpus:
        driver = driver_name(gpu)
        if driver == "nvidia":
            probes.append(AwakeNvidiaGpuPower(gpu, root, nvml))
        elif driver in ("i915", "xe") and IntelGpuPower.supports(gpu, root):
            probes.append(IntelGpuPower(gpu, root))
        elif driver == "amdgpu" and AmdGpuPower.supports(gpu, root, "card"):
            probes.append(AmdGpuPower(gpu, root))
    return probes


class AwakeNvidiaGpu(GpuLoad):
    """Reads an NVIDIA GPU only while it is awake."""

    def __init__(self, device: Hardware, root: Path, nvml: ModuleType | None) -> None:
        super().__init__(device, root)
        self._gpu = NvidiaGpu(device, nvml)

    def read_awake(self, moment: Moment) -> Gauge:
        return self._gpu.read(moment)


class AwakeNvidiaGpuPower(GpuPower):
    """Reads an NVIDIA GPU's power only while it is awake."""

    def __init__(self, device: Hardware, root: Path, nvml: ModuleType | None) -> None:
        super().__init__(device, root)
        self._gpu = NvidiaGpuPower(device, nvml)

    def reset(self) -> None:
        self._gpu.reset()

    def read_awake(self, moment: Moment) -> Meter:
        return self._gpu.read(moment)


class RaplWithFallback:
    """RAPL; if that can't be read, the AMD chips' own figures, which every user may read."""

    def __init__(self, rapl: PowerProbe, fallbacks: Sequence[PowerProbe]) -> None:
        self.name = rapl.name
        self._rapl, self._fallbacks = rapl, fallbacks

    def read(self, moment: Moment) -> Meter:
        meter = self._rapl.read(moment)
        if meter.watts is not None or meter.reason == MEASURING:
            return meter
        others = [fallback.read(moment) for fallback in self._fallbacks]
        readable = [other for other in others if other.watts is not None]
        if not readable:
            return meter
        return replace(readable[0], watts=sum(other.watts or 0 for other in readable))


def driver_name(device: Hardware) -> str:
    """ "i915" of "i915, Linux 6.11.0"; "" without a driver."""
    return (device.driver or "").partition(",")[0]


def _load(device: Hardware, root: Path, nvml: ModuleType | None) -> LoadProbe:
    driver = driver_name(device)
    if driver == "nvidia":
        return AwakeNvidiaGpu(device, root, nvml)
    if driver in LOADS:
        return LOADS[driver](device, root)
    reason = f"The {driver} driver does not report load. {HINTS.get(driver, '')}".strip()
    if not driver:
        reason = f"Its driver is missing. Install {device.vendor}'s driver, then restart."
    return UnreadableProbe(device, reason)
