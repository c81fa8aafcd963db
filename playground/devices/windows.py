"""GPUs and NPUs on Windows, read from the registry: no engine, no WMI (slow, and often broken)."""

from __future__ import annotations

import ctypes
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
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
# The LUID of a GPU or NPU among its device properties, a UINT64: in no header of Microsoft's, but
# MLPerf Client (performance_counter_data.cpp), System Informer and Wine use it as DEVPKEY_Gpu_Luid.
GPU_LUID = uuid.UUID("60b193cb-5276-4d0f-96fc-f173abad3ec6").bytes_le + (2).to_bytes(4, "little")
UINT64 = 9  # DEVPROP_TYPE_UINT64


class Registry(Protocol):
    """HKEY_LOCAL_MACHINE, and the device tree that belongs to it. A missing key is an empty one."""

    def keys(self, path: str) -> list[str]: ...

    def values(self, path: str) -> Mapping[str, Any]: ...

    def state(self, instance: str) -> int | None:
        """0: the device works; else its problem code. None: it is not plugged in."""

    def graphics_luid(self, instance: str) -> int | None:
        """The number that a GPU or NPU has until its driver is started anew. None: not known."""


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

    def graphics_luid(self, instance: str) -> int | None:
        manager: Any = ctypes.WinDLL("cfgmgr32")  # type: ignore[attr-defined]
        node, kind, number = ctypes.c_uint32(), ctypes.c_uint32(), ctypes.c_uint64()
        size = ctypes.c_uint32(ctypes.sizeof(number))
        if manager.CM_Locate_DevNodeW(ctypes.byref(node), ctypes.c_wchar_p(instance), 0):
            return None
        out = (ctypes.byref(kind), ctypes.byref(number), ctypes.byref(size))
        failed = manager.CM_Get_DevNode_PropertyW(node, GPU_LUID, *out, 0)
        return (number.value or None) if not failed and kind.value == UINT64 else None


def scan(registry: Registry) -> tuple[Hardware, ...]:
    """Every GPU and NPU that is plugged in."""
    known, last = _direct3d(registry), _last_start(registry)
    return tuple(
        # An entry of an earlier start has the LUID of that.
        hardware if hardware.luid else replace(hardware, luid=_luid(known.get(video, {}), last))
        for video, hardware, here in _ever_seen(registry)
        if here
    )


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
    number = registry.graphics_luid(instance)
    return Hardware(
        kind=kind,
        vendor=vendor_name(vendor) if ids else maker,
        name=driver["driverdesc"] if driver.get("driverdesc") and not stand_in else unnamed,
        pci_id=f"{vendor:04x}:{device:04x}" if ids else None,
        driver=driver.get("driverversion"),
        problem="no-driver" if stand_in or not driver else _problem(registry.state(instance)),
        address=_address(str(node.get("locationinformation", ""))),
        luid=luid(number) if number else None,
    )


def _address(location: str) -> str | None:
    """ "0000:01:00.0" of "@…pci.sys,#65536;PCI bus %1, device %2, function %3;(1,0,0)"."""
    found = re.search(r"\((\d+),(\d+),(\d+)\)$", location)
    if not found:
        return None
    bus, device, function = map(int, found.groups())
    return f"0000:{bus:02x}:{device:02x}.{function:x}"


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
    last = _last_start(registry)
    usable = [
        entry
        for key, entry in _direct3d(registry).items()
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
            own_memory_mb=_megabytes(entry.get("dedicatedvideomemory")),
        )
        for index, entry in enumerate(usable)
    )


def _direct3d(registry: Registry) -> dict[str, Mapping[str, Any]]:
    """The adapters that Direct3D knows or knew, by VideoID in lower case."""
    return {key.lower(): registry.values(rf"{DIRECTX}\{key}") for key in registry.keys(DIRECTX)}


def _last_start(registry: Registry) -> int:
    """What an adapter that is there has as its "last seen"."""
    seen = [_number(entry.get("lastseen")) for entry in _direct3d(registry).values()]
    return _number(registry.values(DIRECTX).get("lastseen")) or max(seen, default=0)


def _luid(entry: Mapping[str, Any], last: int) -> str | None:
    here = "adapterluid" in entry and _number(entry.get("lastseen")) >= last
    return luid(_number(entry["adapterluid"])) if here else None


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


def _megabytes(value: Any) -> float | None:
    return None if value is None else _number(value) / 1e6


def _number(value: Any) -> int:
    """A DWORD or QWORD; some drivers write them as bytes."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "little")
    return value if isinstance(value, int) else 0
