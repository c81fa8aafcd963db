"""GPUs and NPUs on Windows, read from the registry: no engine, no WMI (slow, and often broken)."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from playground.devices.records import (
    Device,
    Hardware,
    pci_kind,
    pci_name,
    vendor_name,
)

ENUM = r"SYSTEM\CurrentControlSet\Enum"  # every device that ever was here
CLASS = r"SYSTEM\CurrentControlSet\Control\Class"  # the drivers of those that have one
DIRECTX = r"SOFTWARE\Microsoft\DirectX"  # the adapters that Direct3D knows, by VideoID
CLASSES = {
    "{4d36e968-e325-11ce-bfc1-08002be10318}": "GPU",  # display adapters
    "{f01a9d53-3ff6-48d2-9f97-c8a7004be10c}": "NPU",  # compute accelerators
}
BUSES = ("PCI", "ACPI")  # ACPI: the GPUs and NPUs of ARM laptops
MICROSOFT = 0x1414
DIRECT3D_11_0 = 0xB000  # the least that ONNX Runtime GenAI asks for; an NPU has 0x1000 at most
# Device Manager's problem codes: "not configured" and "no driver installed"; "disabled".
NO_DRIVER, DISABLED = (1, 28), 22
NO_SUCH_NODE = 13  # CR_NO_SUCH_DEVNODE of cfgmgr32.h; any other failure says nothing of the device


class Registry(Protocol):
    """HKEY_LOCAL_MACHINE, and the device tree that belongs to it. A missing key is an empty one."""

    def keys(self, path: str) -> list[str]: ...

    def values(self, path: str) -> Mapping[str, Any]: ...

    def state(self, instance: str) -> int | None:
        """0: the device works; else its problem code. None: it is not plugged in."""


class LocalRegistry:
    """This machine's."""

    def keys(self, path: str) -> list[str]:
        return list(self._each(path, "EnumKey"))

    def values(self, path: str) -> Mapping[str, Any]:
        return {name.lower(): value for name, value, _ in self._each(path, "EnumValue")}

    def _each(self, path: str, how: str) -> Iterator[Any]:
        import winreg as w  # Windows only

        registry: Any = w
        with (
            suppress(OSError),  # also: no more of them
            registry.OpenKey(registry.HKEY_LOCAL_MACHINE, path) as key,
        ):
            for index in range(10_000):
                yield getattr(registry, how)(key, index)

    def state(self, instance: str) -> int | None:
        manager: Any = ctypes.WinDLL("cfgmgr32")  # type: ignore[attr-defined]
        node, status, problem = ctypes.c_uint32(), ctypes.c_uint32(), ctypes.c_uint32()
        asked = manager.CM_Locate_DevNodeW(ctypes.byref(node), ctypes.c_wchar_p(instance), 0)
        if asked == 0:
            manager.CM_Get_DevNode_Status(ctypes.byref(status), ctypes.byref(problem), node, 0)
        elif asked == NO_SUCH_NODE:
            return None
        return problem.value


def scan(registry: Registry) -> tuple[Hardware, ...]:
    """Every GPU and NPU that is plugged in."""
    return tuple(hardware for _, hardware, here in _ever_seen(registry) if here)


def _ever_seen(registry: Registry) -> Iterator[tuple[str, Hardware, bool]]:
    """Its VideoID in lower case ("" for none), itself, and whether it is plugged in."""
    for bus in BUSES:
        for device in registry.keys(rf"{ENUM}\{bus}"):
            for instance in registry.keys(rf"{ENUM}\{bus}\{device}"):
                name = rf"{bus}\{device}\{instance}"
                hardware = _hardware(registry, name)
                if hardware is not None:
                    parameters = registry.values(rf"{ENUM}\{name}\Device Parameters")
                    video = str(parameters.get("videoid", "")).lower()
                    yield video, hardware, registry.state(name) is not None


def _hardware(registry: Registry, instance: str) -> Hardware | None:
    node = registry.values(rf"{ENUM}\{instance}")
    ids = re.search(r"VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})", instance, re.I)
    vendor, device = (int(ids[1], 16), int(ids[2], 16)) if ids else (0, 0)
    # A device without a driver has no class, but the PCI class is among its compatible ids.
    base = re.search(r"CC_([0-9A-F]{2})", " ".join(node.get("compatibleids") or ()), re.I)
    kind = CLASSES.get(str(node.get("classguid", "")).lower())
    kind = kind or (pci_kind(vendor, device, int(base[1], 16) if base else None) if ids else None)
    if kind is None:
        return None
    driver = registry.values(rf"{CLASS}\{node['driver']}") if node.get("driver") else {}
    maker = str(driver.get("providername", ""))
    described = driver.get("driverdesc") or str(node.get("devicedesc", "")).rpartition(";")[2]
    unnamed = pci_name(kind, vendor, device) if ids else described
    stand_in = maker == "Microsoft" and vendor != MICROSOFT  # its Basic Display Adapter
    return Hardware(
        kind=kind,
        vendor=vendor_name(vendor) if ids else maker,
        name=driver["driverdesc"] if driver.get("driverdesc") and not stand_in else unnamed,
        pci_id=f"{vendor:04x}:{device:04x}" if ids else None,
        driver=driver.get("driverversion"),
        problem="no-driver" if stand_in or not driver else _problem(registry.state(instance)),
    )


def _problem(state: int | None) -> str:
    if state in NO_DRIVER:
        return "no-driver"
    if state == DISABLED:
        return "disabled"
    return "not-started" if state else ""


def adapters(registry: Registry) -> tuple[Device, ...]:
    """The GPUs that DirectML can use, that with the most memory of its own first: DML.0 is the one
    that ONNX Runtime GenAI takes by itself.

    As far as is known an NPU has no entry here; if one had, its device or its feature level tells.
    """
    kinds = {
        video: hardware.kind if here and not hardware.problem else "none"
        for video, hardware, here in _ever_seen(registry)
    }
    entries = {key.lower(): registry.values(rf"{DIRECTX}\{key}") for key in registry.keys(DIRECTX)}
    seen = [_number(entry.get("lastseen")) for entry in entries.values()]
    last = _number(registry.values(DIRECTX).get("lastseen")) or max(seen, default=0)
    usable = [
        entry
        for key, entry in entries.items()
        if _is_gpu(entry)
        # One that is no longer there keeps its entry, but is no longer seen.
        and kinds.get(key, "GPU" if _number(entry.get("lastseen")) >= last else "none") == "GPU"
    ]
    usable.sort(key=lambda entry: -_number(entry.get("dedicatedvideomemory")))
    return tuple(
        Device(
            name=f"DML.{index}",
            full_name=str(entry.get("description", "n/a")),
            driver=_version(_number(entry.get("driverversion"))),
            luid=luid(_number(entry["adapterluid"])),
        )
        for index, entry in enumerate(usable)
    )


def _is_gpu(entry: Mapping[str, Any]) -> bool:
    """No key of another purpose, no software, no Microsoft stand-in, no NPU."""
    level = _number(entry.get("maxd3d12featurelevel")) or DIRECT3D_11_0
    real = not _number(entry.get("softwareadapter")) and entry.get("vendorid") != MICROSOFT
    return "adapterluid" in entry and real and level >= DIRECT3D_11_0


def luid(number: int) -> str:
    """ "HighPart:LowPart", both in decimal; the high part is signed."""
    high, low = number >> 32, number & 0xFFFFFFFF
    return f"{high - (1 << 32) if high >= 1 << 31 else high}:{low}"


def _version(packed: int) -> str | None:
    """Four numbers of 16 bits."""
    return ".".join(str(packed >> shift & 0xFFFF) for shift in (48, 32, 16, 0)) if packed else None


def _number(value: Any) -> int:
    """A DWORD or QWORD; some drivers write them as bytes."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "little")
    return value if isinstance(value, int) else 0
