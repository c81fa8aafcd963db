"""Battery and power-saving profiles, which lower every figure of this machine."""

from __future__ import annotations

import ctypes
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# Kernel: Documentation/ABI/testing/sysfs-class-platform-profile.
PLATFORM_PROFILE = Path("sys/firmware/acpi/platform_profile")
SAVING_PROFILES = ("low-power", "cool", "quiet")
# Kernel: Documentation/admin-guide/pm/intel_pstate.rst. "balance_power" is some systems' default.
PREFERENCE = Path("sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference")
SAVING_PREFERENCE = "power"
# powrprof.h: GUID_POWER_MODE_BEST_EFFICIENCY
BEST_EFFICIENCY = uuid.UUID("961cc777-2547-4f9d-8174-7d86181b8a7a")


@dataclass(frozen=True)
class PowerSource:
    """None: unknown. battery_percent: 0..100. profile: its name, only while it saves power."""

    on_battery: bool | None = None
    battery_percent: float | None = None
    profile: str | None = None

    @property
    def text(self) -> str:
        """One sentence to show beside figures; "" if nothing is known to lower them."""
        profile = f"a power-saving profile ({self.profile})"
        if self.on_battery:
            charge = self.battery_percent
            battery = "On battery" if charge is None else f"On battery ({charge:.0f} %)"
            also = f" with {profile}" if self.profile else ""
            return f"{battery}{also}: figures can be lower than on mains power."
        return f"With {profile}: figures can be lower than without." if self.profile else ""


def current() -> PowerSource:
    """The power source of this machine now; cheap, and raises nothing."""
    on_battery, charge, profile = None, None, None
    with suppress(Exception):  # drivers differ, and psutil lets their errors through
        status = psutil.sensors_battery()
        if status and status.power_plugged is not None:
            on_battery = not status.power_plugged
        if status and 0 <= status.percent <= 100:
            charge = float(status.percent)
    with suppress(Exception):
        profile = windows_profile() if sys.platform == "win32" else linux_profile()
    return PowerSource(on_battery, charge, profile)


def linux_profile(root: Path = Path("/")) -> str | None:
    """The platform profile, or the processor's energy preference, if it saves power."""
    profile = _text(root / PLATFORM_PROFILE)
    if profile in SAVING_PROFILES:
        return profile
    return "processor: power" if _text(root / PREFERENCE) == SAVING_PREFERENCE else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


class PowerStatus(ctypes.Structure):
    """SYSTEM_POWER_STATUS of winbase.h."""

    _fields_ = [
        ("ac_line", ctypes.c_uint8),
        ("battery", ctypes.c_uint8),
        ("percent", ctypes.c_uint8),
        ("saver", ctypes.c_uint8),  # 1: Windows' battery saver is on
        ("left_s", ctypes.c_uint32),
        ("full_s", ctypes.c_uint32),
    ]


def windows_profile(kernel: object = None, power: object = None) -> str | None:
    """Battery saver, or the power mode of Windows' settings. Arguments: DLLs, for tests."""
    status, mode = PowerStatus(), (ctypes.c_uint8 * 16)()
    _call(kernel, "kernel32", "GetSystemPowerStatus", ctypes.byref(status))
    if status.saver == 1:
        return "battery saver"
    # Undocumented, and there since Windows 10 1709; the documented calls return the mode that was
    # chosen, not the one in effect.
    _call(power, "powrprof", "PowerGetEffectiveOverlayScheme", ctypes.byref(mode))
    return "best power efficiency" if bytes(mode) == BEST_EFFICIENCY.bytes_le else None


def _call(library: object, name: str, function: str, argument: object) -> None:
    """Call a DLL's function; does nothing where the DLL or the function is missing.

    On 64-bit Windows, CDLL calls as WinDLL does, and it exists on every system."""
    with suppress(AttributeError, OSError):
        getattr(library or ctypes.CDLL(name), function)(argument)
