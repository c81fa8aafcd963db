"""The machine and the program, as a bug report needs them; an unknown value is None."""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path
from typing import TypedDict

import psutil

from playground import __version__
from playground.devices.sysfs import kernel_version
from playground.devices.windows import Registry

WINDOWS = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
PROCESSOR = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
WINDOWS_11_BUILD = 22000  # from this build on; the registry still calls it Windows 10


class MachineFacts(TypedDict):
    """cores, threads: physical and logical ones; memory in GB of 10^9 bytes."""

    os: str
    cpu: str | None
    cores: int | None
    threads: int | None
    memory_gb: float
    memory_free_gb: float
    power: str | None


def program(root: Path) -> dict[str, str | None]:
    """commit: the first 12 digits of what is checked out, None outside a git checkout."""
    return {
        "version": __version__,
        "commit": commit(root),
        "python": f"{platform.python_version()} ({sysconfig.get_platform()})",
    }


def machine() -> MachineFacts:
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
    """Name, version and build; read without WMI, which `platform` uses on Windows and is slow."""
    if sys.platform == "win32":
        values = Registry().values(WINDOWS)
        build = sys.getwindowsversion().build
        name = str(values.get("productname", "Windows"))
        if build >= WINDOWS_11_BUILD:
            name = name.replace("Windows 10", "Windows 11")
        edition = f"{name} {values.get('displayversion', '')}".strip()
        return f"{edition}, build {build}.{values.get('ubr', 0)}"
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {os.uname().sysname} {kernel_version(os.uname().release)}"


def cpu() -> str | None:
    """The processor's name as its maker gave it."""
    if sys.platform == "win32":
        name = Registry().values(PROCESSOR).get("processornamestring")
        return str(name).strip() if name else None
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    match = re.search(r"^model name\s*: *(.+)$", text, re.MULTILINE)
    return match[1] if match else None


def power() -> str | None:
    """The power source and the battery's charge: on battery, figures can be lower."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):  # not on this system, or not readable
        return None
    if battery is None:
        return "no battery found"
    source = {True: "mains", False: "battery"}.get(battery.power_plugged, "n/a")
    return f"{source}, battery at {battery.percent:.0f} %"


def commit(root: Path) -> str | None:
    """The commit that is checked out, read without git; no name of a branch."""
    git = root / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return short_hash(head)
        branch = head.removeprefix("ref: ")
        if (git / branch).is_file():
            return short_hash((git / branch).read_text(encoding="utf-8"))
        packed = (git / "packed-refs").read_text(encoding="utf-8")
    except OSError:  # not a checkout
        return None
    match = re.search(rf"^([0-9a-f]+) {re.escape(branch)}$", packed, re.MULTILINE)
    return short_hash(match[1]) if match else None


def short_hash(text: str) -> str | None:
    match = re.match(r"[0-9a-f]{12}", text)
    return match[0] if match else None
