"""Intel's GPUs and NPUs on Linux.

GPUs (i915, xe): while a worker has the GPU open, the kernel's account of the worker (fdinfo) gives
the load. Otherwise only the time outside the idle state is known. That is a proxy, since a GPU can
be awake and do nothing.
NPUs (intel_vpu): the driver counts busy time since Linux 6.11. It counts while jobs are queued, so
the figure says how long the NPU was in use, not how much of it computed.
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
    permission_reason,
    read_int,
    read_optional_int,
    sysfs_folder,
)
from playground.gauges.readings import MEASURING, CounterRate, Gauge, Meter, Moment, percent

# By tile and "gt" (one for computing, one for media); older i915 have one figure for all.
IDLE_MS = (
    ("gtidle", "tile*/gt*/gtidle/idle_residency_ms"),
    ("rc6", "drm/card*/gt/gt*/rc6_residency_ms"),
    ("rc6", "drm/card*/power/rc6_residency_ms"),
)
MHZ = ("tile*/gt*/freq0/act_freq", "drm/card*/gt/gt*/rps_act_freq_mhz", "drm/card*/gt_act_freq_mhz")
ENERGY_UJ = ("hwmon/hwmon*/energy1_input", "hwmon/hwmon*/energy2_input")  # xe: card, package
NO_IDLE_TIME = "No lane uses this GPU now, and its driver does not report its idle time."
NPU_BUSY_US = "npu_busy_time_us"
KERNEL_TOO_OLD = (
    "This kernel's intel_vpu driver does not report busy time. Linux 6.11 and newer do."
)


class IntelGpu(GpuLoad):
    """The load from fdinfo; without a worker on the GPU, its time awake."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._clients = DrmClients(root, self.folder)
        idle_files = [(state, self._files(pattern)) for state, pattern in IDLE_MS]
        self._state, self._idle = next((entry for entry in idle_files if entry[1]), ("", []))
        self._mhz = next((files for files in map(self._files, MHZ) if files), [])
        self.reset()

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(pattern))

    def reset(self) -> None:
        self._clients.reset()
        self._rates = [CounterRate() for _ in self._idle]

    def read_awake(self, moment: Moment) -> Gauge:
        # Read each time, so that the figure is there as soon as the last lane ends.
        awake = self._awake_percent(moment)
        usage = self._clients.read(moment)
        if usage is not None and not usage.counted:
            usage = None
        if usage is None and not self._idle:
            return replace(self.empty.unknown(NO_IDLE_TIME), per_lane=self._clients.absent_lanes)
        load = usage.percent if usage else awake
        proxy_source = f"proxy: awake, not necessarily working ({self._state})"
        clocks = [mhz for mhz in map(read_optional_int, self._mhz) if mhz is not None]
        return replace(
            self.empty,
            percent=load,
            source=SOURCE if usage else proxy_source,
            reason=MEASURING if load is None else "",
            proxy=usage is None,
            per_lane={**self._clients.absent_lanes, **(usage.per_lane if usage else {})},
            memory_mb=usage.memory_mb if usage else None,
            mhz=max(clocks, default=None),
        )

    def _awake_percent(self, moment: Moment) -> float | None:
        """0..100, of the busiest gt."""
        idle = [
            percent(rate.per_second(read_int(path) / 1000, moment.ns))
            for path, rate in zip(self._idle, self._rates, strict=True)
        ]
        return max((100 - share for share in idle if share is not None), default=None)


class IntelGpuPower(GpuPower):
    """A graphics card's own energy counter; built-in GPUs have none."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._file = first_match(self.folder, *ENERGY_UJ)
        self.reset()

    @staticmethod
    def supports(device: Hardware, root: Path) -> bool:
        return first_match(sysfs_folder(device, root), *ENERGY_UJ) is not None

    def reset(self) -> None:
        self._energy_j = CounterRate()

    def read_awake(self, moment: Moment) -> Meter:
        assert self._file is not None, "created only for supported devices"
        watts = self._energy_j.per_second(read_int(self._file) / 1e6, moment.ns)
        return Meter(
            self.name,
            watts,
            source="the card's energy counter (hwmon)",
            reason=MEASURING if watts is None else "",
            covers=self.empty.covers,
        )


class IntelNpu:
    """The busy time of intel_vpu. Reading it does not wake the NPU: the driver itself counts."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        self.name = device.name
        self._empty = Gauge(self.name, key=device.address or "")
        self._folder = sysfs_folder(device, root)
        self._counts = (self._folder / NPU_BUSY_US).exists()
        self._busy_s = CounterRate()

    def read(self, moment: Moment) -> Gauge:
        if not self._counts:
            return self._empty.unknown(KERNEL_TOO_OLD)
        try:
            busy_s = read_int(self._folder / NPU_BUSY_US) / 1e6
        except PermissionError as error:
            return self._empty.unknown(permission_reason(error))
        load = percent(self._busy_s.per_second(busy_s, moment.ns))
        # In bytes, despite its name.
        memory = read_optional_int(self._folder / "npu_memory_utilization")
        return replace(
            self._empty,
            percent=load,
            source="intel_vpu's busy time",
            reason=MEASURING if load is None else "",
            memory_mb=None if memory is None else memory / 1e6,
            mhz=read_optional_int(self._folder / "npu_current_frequency_mhz"),
        )
