"""What the probes of one PCI device share: its folder in sysfs, its sleep, and files that may not
be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic

from playground.devices import Hardware
from playground.gauges.readings import Gauge, Meter, Moment, Reading

MEASURING = "measuring"  # a first reading has nothing to compare with
ASLEEP = "asleep (runtime power management)"


class PciProbe(ABC, Generic[Reading]):
    """Reads one device while it is awake; to read many of a GPU's files would wake it."""

    def __init__(self, device: Hardware, root: Path, unknown: Reading, asleep: Reading) -> None:
        self.name = device.name
        self.folder = folder(device, root)
        self.nothing: Reading = unknown  # the device without a figure
        self._asleep: Reading = asleep

    def read(self, moment: Moment) -> list[Reading]:
        """OSError when the device is gone; what this user may not read is a reason."""
        try:
            if asleep(self.folder):
                self.forget()
                return [self._asleep]
            return [self.awake(moment)]
        except PermissionError as error:
            return [self.nothing.unknown(denied(error))]

    @abstractmethod
    def awake(self, moment: Moment) -> Reading: ...

    def forget(self) -> None:
        """Counters from before a sleep would give the mean of all of it."""


class GpuLoad(PciProbe[Gauge]):
    """A GPU's gauge: 0 % while it sleeps."""

    def __init__(self, device: Hardware, root: Path) -> None:
        key = device.address or ""
        asleep = Gauge(device.name, 0.0, source=ASLEEP, key=key)
        super().__init__(device, root, Gauge(device.name, key=key), asleep)


class GpuPower(PciProbe[Meter]):
    """A meter of one card alone. What it draws while it sleeps is little, but nobody knows."""

    def __init__(self, device: Hardware, root: Path) -> None:
        unknown = Meter(device.name, covers=device.luid or device.address or "")
        super().__init__(device, root, unknown, unknown.unknown(ASLEEP))


class Silent:
    """A device that tells no load: its gauge is the reason."""

    def __init__(self, device: Hardware, reason: str) -> None:
        self.name = device.name
        self._gauge = Gauge(device.name, reason=reason, key=device.address or "")

    def read(self, moment: Moment) -> list[Gauge]:
        return [self._gauge]


def folder(device: Hardware, root: Path) -> Path:
    """The same files as /sys/class/drm/cardN/device and /sys/class/accel/accelN/device."""
    return root / "sys/bus/pci/devices" / (device.address or "")


def asleep(folder: Path) -> bool:
    """Whether the kernel has suspended the device; asking does not wake it."""
    try:
        return text(folder / "power/runtime_status") == "suspended"
    except OSError:  # also: a Windows path may not have the colons of an address
        return False


def denied(error: PermissionError) -> str:
    return f"This user may not read {error.filename}. Allow it: sudo chmod a+r {error.filename}"


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()


def number(path: Path) -> int:
    return int(text(path))


def optional(path: Path | None) -> int | None:
    """A figure beside the main one: not every driver, version or moment has it."""
    try:
        return None if path is None else number(path)
    except (OSError, ValueError):
        return None


def first(folder: Path, *patterns: str) -> Path | None:
    """The first file there is, the patterns in the order of preference."""
    return next((path for each in patterns for path in sorted(folder.glob(each))), None)
