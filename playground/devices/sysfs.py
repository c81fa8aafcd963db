"""GPUs and NPUs on Linux, read from sysfs without engines or tools."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from playground.devices.records import Hardware, pci_kind, pci_name, vendor_name

PCI_NAMES = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")  # on Debian, on Fedora
# Parts of a kernel's release that distributions use. Whoever builds a kernel can add any other,
# such as a name, which must not get into a report.
KERNEL_SUFFIX = re.compile(
    r"\d+(?:\.(?:fc|el)\d+(?:_\d+)?)?(?:\.(?:x86_64|aarch64))?|(?:arch|zen)\d+|generic|oem|hwe"
    r"|lowlatency|realtime|rt|amd64|arm64|azure|aws|gcp|cloud|default|pve|microsoft|standard|WSL2"
)


def may_open(node: Path) -> bool:
    """Whether this user may use a device file. Does not open it, which could wake the device."""
    return os.access(node, os.R_OK | os.W_OK)


def scan(
    root: Path = Path("/"), may_open: Callable[[Path], bool] = may_open
) -> tuple[Hardware, ...]:
    """Every PCI device that is a GPU or an NPU, ordered by address."""
    folders = sorted((root / "sys/bus/pci/devices").glob("*"))
    devices = (_hardware(root, folder, may_open) for folder in folders)
    return tuple(device for device in devices if device is not None)


def _hardware(root: Path, folder: Path, may_open: Callable[[Path], bool]) -> Hardware | None:
    vendor, device = _number(folder / "vendor"), _number(folder / "device")
    kind = pci_kind(vendor, device, _number(folder / "class") >> 16)
    if kind is None:
        return None
    link = folder / "driver"
    driver = link.resolve().name if link.exists() else None
    node = _node(root, folder, kind)
    return Hardware(
        kind=kind,
        vendor=vendor_name(vendor),
        name=_listed_name(root, vendor, device) or pci_name(kind, vendor, device),
        pci_id=f"{vendor:04x}:{device:04x}",
        driver=driver and f"{driver}, {_version(root, driver)}",
        problem=_problem(folder, driver, node, may_open),
        node=None if node is None else "/" + node.relative_to(root).as_posix(),
        address=folder.name,
    )


def _problem(
    folder: Path, driver: str | None, node: Path | None, may_open: Callable[[Path], bool]
) -> str:
    if driver is None:
        return "no-driver"
    if node is None:  # a display adapter that can't compute has a driver but no device file
        return "" if (folder / "drm").is_dir() else "not-started"
    return "" if may_open(node) else "no-access"


def _node(root: Path, folder: Path, kind: str) -> Path | None:
    """The device file that the driver created."""
    pattern, place = ("accel/accel*", "accel") if kind == "NPU" else ("drm/renderD*", "dri")
    names = sorted(path.name for path in folder.glob(pattern))
    return root / "dev" / place / names[0] if names else None


def _version(root: Path, driver: str) -> str:
    """The driver's own version (NVIDIA's), or the kernel's for drivers that are part of it."""
    own = root / "sys/module" / driver / "version"
    if own.is_file():
        return read_text(own)
    return f"Linux {kernel_version(read_text(root / 'proc/sys/kernel/osrelease'))}"


def kernel_version(release: str) -> str:
    """A kernel's release, "6.11.0-29-generic", without suffixes that no distribution uses."""
    number, *suffixes = release.split("-")
    known = [suffix for suffix in suffixes if KERNEL_SUFFIX.fullmatch(suffix)]
    return "-".join([re.sub(r"[^\d.].*", "", number), *known])


def _listed_name(root: Path, vendor: int, device: int) -> str | None:
    """The device's name in the system's list of PCI devices, if it has one."""
    for place in PCI_NAMES:
        try:
            lines = (root / place).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        section = None
        for line in lines:
            if line[:1] not in ("\t", "#", ""):
                section = line[:4]
            elif section == f"{vendor:04x}" and line.startswith(f"\t{device:04x}  "):
                return f"{vendor_name(vendor)} {line[7:]}"
    return None


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()


def _number(path: Path) -> int:
    try:
        return int(read_text(path), 16)
    except (OSError, ValueError):
        return 0
