"""Whether a battery or a profile lowers the figures, on stub machines and on this one."""

from __future__ import annotations

import ctypes
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import psutil
import pytest

from playground.gauges import power_source
from playground.gauges.power_source import (
    PowerSource,
    PowerStatus,
    current,
    linux_profile,
    windows_profile,
)
from tests.support.machines import StubLinux

ON_BATTERY = SimpleNamespace(percent=62.6, power_plugged=False)
PLUGGED = SimpleNamespace(percent=100, power_plugged=True)


def source(battery: object, profile: object) -> PowerSource:
    """What `current` returns where the drivers answer this, or raise it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psutil, "sensors_battery", Mock(side_effect=[battery]))
        for system in ("linux_profile", "windows_profile"):
            patch.setattr(power_source, system, Mock(side_effect=[profile]))
        return current()


def text(battery: object, profile: object) -> str:
    return source(battery, profile).text


def test_battery_and_profile_share_one_sentence() -> None:
    assert text(ON_BATTERY, "low-power") == (
        "On battery (63 %) with a power-saving profile (low-power): figures can be lower than on "
        "mains power."
    )
    assert text(ON_BATTERY, None) == "On battery (63 %): figures can be lower than on mains power."
    assert text(PLUGGED, "quiet") == (
        "With a power-saving profile (quiet): figures can be lower than without."
    )


def test_on_mains_power_or_without_information_there_is_no_text() -> None:
    assert text(PLUGGED, None) == "" == text(None, None)
    assert source(None, None) == PowerSource(None, None, None)
    odd = SimpleNamespace(percent=255, power_plugged=None)
    assert source(odd, None) == PowerSource(None, None, None)


def test_an_unknown_charge_is_left_out() -> None:
    odd = SimpleNamespace(percent=255, power_plugged=False)
    assert text(odd, None) == "On battery: figures can be lower than on mains power."


def test_failing_drivers_leave_everything_unknown() -> None:
    error = PermissionError("/sys/class/power_supply/BAT0/status")
    assert source(error, error) == PowerSource()


def test_this_machine_answers_without_raising() -> None:
    here = current()
    assert here.battery_percent is None or 0 <= here.battery_percent <= 100
    assert here.text == "" or here.on_battery or here.profile


# --- Linux -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "preference", "profile"),
    [
        ("low-power", "balance_performance", "low-power"),
        ("quiet", "power", "quiet"),
        ("balanced", "power", "processor: power"),
        ("balanced", "balance_power", None),
        ("performance", "performance", None),
    ],
)
def test_linux_s_profiles_that_save_power(
    tmp_path: Path, platform: str, preference: str, profile: str | None
) -> None:
    machine = StubLinux(tmp_path)
    machine.write("sys/firmware/acpi/platform_profile", platform)
    folder = "sys/devices/system/cpu/cpu0/cpufreq"
    machine.write(f"{folder}/energy_performance_preference", preference)
    assert linux_profile(tmp_path) == profile


def test_a_linux_without_profiles_has_none(tmp_path: Path) -> None:
    assert linux_profile(tmp_path) is None


# --- Windows ---------------------------------------------------------------------------------


class StubWindows:
    """The two functions of kernel32.dll and powrprof.dll."""

    def __init__(self, saver: int = 0, mode: str = "00000000-0000-0000-0000-000000000000") -> None:
        self.saver, self.mode = saver, uuid.UUID(mode).bytes_le
        status = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(PowerStatus))
        overlay = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint8 * 16))
        self.GetSystemPowerStatus = status(self._status)
        self.PowerGetEffectiveOverlayScheme = overlay(self._overlay)

    def _status(self, out: Any) -> int:
        out[0].saver = self.saver
        return 1

    def _overlay(self, out: Any) -> int:
        out[0][:] = self.mode
        return 0


@pytest.mark.parametrize(
    ("stub", "profile"),
    [
        (StubWindows(saver=1), "battery saver"),
        (StubWindows(mode="961cc777-2547-4f9d-8174-7d86181b8a7a"), "best power efficiency"),
        (StubWindows(mode="ded574b5-45a0-4f42-8737-46345c09c238"), None),
        (StubWindows(), None),
    ],
)
def test_windows_profiles_that_save_power(stub: StubWindows, profile: str | None) -> None:
    assert windows_profile(stub, stub) == profile


def test_a_windows_without_the_function_has_none() -> None:
    assert windows_profile(StubWindows(), SimpleNamespace()) is None
