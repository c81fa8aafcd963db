"""What the probes of PCI devices share: sysfs folder, sleep, and files without permission."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic

from playground.devices import Hardware
from playground.devices.sysfs import read_text
from playground.gauges.readings import Gauge, Meter, Moment, Reading

ASLEEP = "asleep (runtime power management)"


class PciProbe(ABC, Generic[Reading]):
    """Reads one device only while it is awake, since reading many of a GPU's files wakes it.

    empty: the reading without a figure; asleep: the reading while the device sleeps.
    """

    def __init__(self, device: Hardware, root: Path, empty: Reading, asleep: Reading) -> None:
        self.name = device.name
        self.folder = sysfs_folder(device, root)
        self.empty: Reading = empty
        self._asleep: Reading = asleep

    def read(self, moment: Moment) -> Reading:
        """Raises OSError if the device is gone; a file without permission becomes a reason."""
        try:
            if is_asleep(self.folder):
                self.reset()
                return self._asleep
            return self.read_awake(moment)
        except PermissionError as error:
            return self.empty.unknown(permission_reason(error))

    @abstractmethod
    def read_awake(self, moment: Moment) -> Reading: ...

    def reset(self) -> None:
        """Forget counter values: those from before a sleep would give its average."""


class GpuLoad(PciProbe[Gauge]):
    """The load of a GPU: 0 % while it sleeps."""

    def __init__(self, device: Hardware, root: Path) -> None:
        key = device.address or ""
        asleep = Gauge(device.name, 0.0, source=ASLEEP, key=key)
        super().__init__(device, root, Gauge(device.name, key=key), asleep)


class GpuPower(PciProbe[Meter]):
    """The power of one graphics card; unknown, though small, while the card sleeps."""

    def __init__(self, device: Hardware, root: Path) -> None:
        empty = Meter(device.name, covers=device.luid or device.address or "")
        super().__init__(device, root, empty, empty.unknown(ASLEEP))


def sysfs_folder(device: Hardware, root: Path) -> Path:
    """The folder that /sys/class/drm/cardN/device and /sys/class/accel/accelN/device link to."""
    return root / "sys/bus/pci/devices" / (device.address or "")


def is_asleep(folder: Path) -> bool:
    """Whether the kernel has suspended the device; this check does not wake it."""
    try:
        return read_text(folder / "power/runtime_status") == "suspended"
    except OSError:  # also on Windows, whose paths can't have the colons of an address
        return False


def permission_reason(error: PermissionError) -> str:
    path = error.filename
    return f"You have no permission to read {path}. To allow it: sudo chmod a+r {path}"


def read_int(path: Path) -> int:
    return int(read_text(path))


def read_optional_int(path: Path | None) -> int | None:
    """A secondary figure, which some drivers and versions do not have."""
    try:
        return None if path is None else read_int(path)
    except (OSError, ValueError):
        return None


def first_match(folder: Path, *patterns: str) -> Path | None:
    """The first file that exists; patterns in order of preference."""
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)
