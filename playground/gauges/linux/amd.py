"""AMD's GPUs and NPUs on Linux.

GPUs (amdgpu): the driver reports the load, and fdinfo each lane's part of it.
NPUs (amdxdna): sysfs has no load. AMD's own builds of the driver count each user's busy time in
fdinfo: `drm-engine-npu-amdxdna`, since 2026 `drm-engine-amdxdna_accel_driver`. The kernel's driver
(up to Linux 7.2) reports memory only.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from playground.devices import Hardware
from playground.gauges.linux.drm import SOURCE, DrmClients
from playground.gauges.linux.pci import (
    GpuLoad,
    GpuPower,
    first_match,
    is_asleep,
    read_int,
    read_optional_int,
    sysfs_folder,
)
from playground.gauges.readings import MEASURING, PACKAGE, Gauge, Meter, Moment

BUSY_PERCENT = "gpu_busy_percent"
NO_BUSY_PERCENT = "The amdgpu driver does not report this GPU's load."
POWER_UW = ("hwmon/hwmon*/power1_average", "hwmon/hwmon*/power1_input")  # newer cards: the second
FORM_FACTORS = {1: "card", 2: "apu", 3: "apu"}  # by the format_revision of gpu_metrics
NPU_NOT_COUNTED = (
    "This build of the amdxdna driver does not count busy time. "
    "AMD's own build does: https://github.com/amd/xdna-driver"
)
NPU_NOT_USED = "The amdxdna driver counts by user, and no lane uses this NPU now."


def form_factor(device: Hardware, root: Path) -> str | None:
    """ "card", "apu" (a built-in GPU, whose power is the whole chip's), or None if unknown.

    Only cards ever sleep, and reading more of a sleeping card would wake it.
    """
    folder = sysfs_folder(device, root)
    if is_asleep(folder):
        return "card"
    try:
        header = (folder / "gpu_metrics").read_bytes()[:4]
    except OSError:
        return None
    return FORM_FACTORS.get(header[2]) if len(header) == 4 else None


class AmdGpu(GpuLoad):
    """The load that amdgpu reports."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._clients = DrmClients(root, self.folder)
        self._has_load = (self.folder / BUSY_PERCENT).exists()
        # A built-in GPU has most of its memory in the system's (gtt).
        kinds = ("vram", "gtt") if form_factor(device, root) == "apu" else ("vram",)
        self._memory = [self.folder / f"mem_info_{kind}_used" for kind in kinds]
        self._hz = first_match(self.folder, "hwmon/hwmon*/freq1_input")

    def reset(self) -> None:
        self._clients.reset()

    def read_awake(self, moment: Moment) -> Gauge:
        if not self._has_load:
            return self.empty.unknown(NO_BUSY_PERCENT)
        usage = self._clients.read(moment)
        memory = [size for size in map(read_optional_int, self._memory) if size is not None]
        hz = read_optional_int(self._hz)
        return replace(
            self.empty,
            percent=float(read_int(self.folder / BUSY_PERCENT)),
            source=f"amdgpu's {BUSY_PERCENT}",
            per_lane={**self._clients.absent_lanes, **(usage.per_lane if usage else {})},
            memory_mb=sum(memory) / 1e6 if memory else None,
            mhz=None if hz is None else hz / 1e6,
        )


class AmdGpuPower(GpuPower):
    """The power of a graphics card, or of the whole chip if the GPU is built in."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._file = first_match(self.folder, *POWER_UW)
        is_apu = form_factor(device, root) == "apu"
        self._covers = PACKAGE if is_apu else self.empty.covers

    @staticmethod
    def supports(device: Hardware, root: Path, form: str) -> bool:
        """Whether the device has a meter and is of that form, "card" or "apu"."""
        file = first_match(sysfs_folder(device, root), *POWER_UW)
        return file is not None and form_factor(device, root) == form

    def read_awake(self, moment: Moment) -> Meter:
        assert self._file is not None, "created only for supported devices"
        return Meter(
            self.name,
            read_int(self._file) / 1e6,
            source=f"amdgpu's {self._file.name} (hwmon)",
            covers=self._covers,
        )


class AmdNpu:
    """The workers' use of the NPU, from fdinfo."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        self.name = device.name
        self._empty = Gauge(device.name, key=device.address or "")
        self._clients = DrmClients(root, sysfs_folder(device, root))

    def read(self, moment: Moment) -> Gauge:
        usage = self._clients.read(moment)
        if usage is None or not usage.counted:
            return self._empty.unknown(NPU_NOT_USED if usage is None else NPU_NOT_COUNTED)
        return replace(
            self._empty,
            percent=usage.percent,
            source=SOURCE,
            reason=MEASURING if usage.percent is None else "",
            per_lane=usage.per_lane,
            memory_mb=usage.memory_mb,
        )
