"""The machine and the program, as a bug report needs them. Unknown is None."""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

import psutil

from playground import __version__
from playground.devices.windows import LocalRegistry

WINDOWS = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
PROCESSOR = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
WINDOWS_11 = 22000  # the first build of it; the registry still calls it Windows 10


def program(root: Path) -> dict[str, Any]:
    return {
        "version": __version__,
        "commit": commit(root),
        "python": f"{platform.python_version()} ({sysconfig.get_platform()})",
    }


def machine() -> dict[str, Any]:
    memory = psutil.virtual_memory()
    return {
        "os": operating_system(),
        "cpu": cpu(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "memory_gb": round(memory.total / 1e9, 1),
        "memory_free_gb": round(memory.available / 1e9, 1),
        "power": power(),
    }


def operating_system() -> str:
    """Name, version and build. No WMI, which Python's `platform` would ask on Windows."""
    if sys.platform == "win32":
        told = LocalRegistry().values(WINDOWS)
        build = sys.getwindowsversion().build
        name = str(told.get("productname", "Windows"))
        if build >= WINDOWS_11:
            name = name.replace("Windows 10", "Windows 11")
        named = f"{name} {told.get('displayversion', '')}".strip()
        return f"{named}, build {build}.{told.get('ubr', 0)}"
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {os.uname().sysname} {os.uname().release}"


def cpu() -> str | None:
    if sys.platform == "win32":
        name = LocalRegistry().values(PROCESSOR).get("processornamestring")
        return str(name).strip() if name else None
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    found = re.search(r"^model name\s*: *(.+)$", told, re.MULTILINE)
    return found[1] if found else None


def power() -> str | None:
    """Speeds differ on battery."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):  # not on this system; an odd one
        return None
    if battery is None:
        return "no battery found"
    source = {True: "mains", False: "battery"}.get(battery.power_plugged, "n/a")
    return f"{source}, battery at {battery.percent:.0f} %"


def commit(root: Path) -> str | None:
    """The commit that is checked out, read without git."""
    git = root / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head[:12]
        branch = head.removeprefix("ref: ")
        if (git / branch).is_file():
            return (git / branch).read_text(encoding="utf-8").strip()[:12]
        packed = (git / "packed-refs").read_text(encoding="utf-8")
    except OSError:  # not a checkout
        return None
    found = re.search(rf"^([0-9a-f]+) {re.escape(branch)}$", packed, re.MULTILINE)
    return found[1][:12] if found else None
