"""The probes of a Linux machine: one for each GPU and NPU, chosen by its driver; and of power."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from playground.devices import Hardware
from playground.gauges.linux.amd_gpu import AmdGpu, AmdGpuPower
from playground.gauges.linux.amd_npu import AmdNpu
from playground.gauges.linux.intel_gpu import IntelGpu, IntelGpuPower
from playground.gauges.linux.intel_npu import IntelNpu
from playground.gauges.linux.pci import MEASURING, Silent
from playground.gauges.linux.rapl import Rapl
from playground.gauges.nvidia import NvidiaGpu, NvidiaGpuPower
from playground.gauges.readings import LoadProbe, Meter, Moment, PowerProbe

HELP = {
    "nouveau": "NVIDIA's own driver does.",
    "vfio-pci": "The device is given to a virtual machine.",
}


def gpu_probes(
    hardware: Iterable[Hardware], root: Path = Path("/"), nvml: Any = None
) -> list[LoadProbe]:
    """nvml: the module pynvml, or a stub of it; None: imported when an NVIDIA GPU is first read."""
    return [_gpu(each, root, nvml) for each in hardware if each.kind == "GPU"]


def npu_probes(hardware: Iterable[Hardware], root: Path = Path("/")) -> list[LoadProbe]:
    return [_npu(each, root) for each in hardware if each.kind == "NPU"]


def power_probes(
    hardware: Iterable[Hardware], root: Path = Path("/"), nvml: Any = None
) -> list[PowerProbe]:
    """The package's meter first, then those of the cards that have one."""
    gpus = [each for each in hardware if each.kind == "GPU"]
    amd = [each for each in gpus if driver(each) == "amdgpu"]
    apus = [AmdGpuPower(each, root) for each in amd if AmdGpuPower.fits(each, root, "apu")]
    probes: list[PowerProbe] = [Package(Rapl(root), apus)]
    for each in gpus:
        if driver(each) == "nvidia":
            probes.append(NvidiaGpuPower(each, root, nvml))
        elif driver(each) in ("i915", "xe") and IntelGpuPower.fits(each, root):
            probes.append(IntelGpuPower(each, root))
        elif driver(each) == "amdgpu" and AmdGpuPower.fits(each, root, "card"):
            probes.append(AmdGpuPower(each, root))
    return probes


class Package:
    """RAPL; where that cannot be read, an AMD chip's own figure, which anyone may read."""

    def __init__(self, rapl: PowerProbe, others: Sequence[PowerProbe]) -> None:
        self.name = rapl.name
        self._rapl, self._others = rapl, others

    def read(self, moment: Moment) -> list[Meter]:
        meters = self._rapl.read(moment)
        if all(each.watts is not None or each.reason == MEASURING for each in meters):
            return meters
        others = [each for other in self._others for each in other.read(moment)]
        return [each for each in others if each.watts is not None] or meters


def driver(device: Hardware) -> str:
    """ "i915" of "i915, Linux 6.11.0"; "" without a driver."""
    return (device.driver or "").partition(",")[0]


def _gpu(device: Hardware, root: Path, nvml: Any) -> LoadProbe:
    name = driver(device)
    if name in ("i915", "xe"):
        return IntelGpu(device, root)
    if name == "amdgpu":
        return AmdGpu(device, root)
    if name == "nvidia":
        return NvidiaGpu(device, root, nvml)
    return Silent(device, silence(device))


def _npu(device: Hardware, root: Path) -> LoadProbe:
    name = driver(device)
    if name == "intel_vpu":
        return IntelNpu(device, root)
    if name == "amdxdna":
        return AmdNpu(device, root)
    return Silent(device, silence(device))


def silence(device: Hardware) -> str:
    """Why it has no gauge, and what would help."""
    name = driver(device)
    if not name:
        return f"Its driver is missing. Install that of {device.vendor}, then restart."
    return f"The driver {name} tells no load. {HELP.get(name, '')}".strip()
