"""GPUs and NPUs on Windows, read from the registry: WMI is slow and often broken."""

from __future__ import annotations

import ctypes
import importlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from playground.devices.records import Device, Hardware, pci_kind, pci_name, vendor_name

ENUM = r"SYSTEM\CurrentControlSet\Enum"  # every device that was ever plugged in
CLASS = r"SYSTEM\CurrentControlSet\Control\Class"  # the devices' drivers
DIRECTX = r"SOFTWARE\Microsoft\DirectX"  # Direct3D's adapters by VideoID
CLASSES = {
    "{4d36e968-e325-11ce-bfc1-08002be10318}": "GPU",  # display adapters
    "{f01a9d53-3ff6-48d2-9f97-c8a7004be10c}": "NPU",  # compute accelerators
}
BUSES = ("PCI", "ACPI")  # ACPI: the GPUs and NPUs of ARM laptops
MICROSOFT = 0x1414
DIRECT3D_11_0 = 0xB000  # what ONNX Runtime GenAI needs; NPUs have 0x1000 at most
# Device Manager's problem codes: "not configured" and "no driver installed"; "disabled".
NO_DRIVER, DISABLED = (1, 28), 22
NO_SUCH_NODE = 13  # CR_NO_SUCH_DEVNODE of cfgmgr32.h; no other failure means that
# The device property with the LUID of a GPU or NPU, a UINT64. No header of Microsoft's has it, but
# MLPerf Client (performance_counter_data.cpp), System Informer and Wine do, as DEVPKEY_Gpu_Luid.
GPU_LUID = uuid.UUID("60b193cb-5276-4d0f-96fc-f173abad3ec6").bytes_le + (2).to_bytes(4, "little")
UINT64 = 9  # DEVPROP_TYPE_UINT64
MAX_ENTRIES = 10_000

Values = Mapping[str, object]  # a registry key's values by their names in lower case


class Registry:
    """HKEY_LOCAL_MACHINE and the device tree of this machine. A missing key counts as an empty one.

    Its DLL is opened with CDLL, which calls as WinDLL does on 64-bit Windows.
    """

    def keys(self, path: str) -> list[str]:
        return list(self._entries(path, "EnumKey"))

    def values(self, path: str) -> Values:
        return {name.lower(): value for name, value, _ in self._entries(path, "EnumValue")}

    def state(self, instance: str) -> int | None:
        """0: the device works; otherwise its problem code; None: it is not plugged in."""
        manager = ctypes.CDLL("cfgmgr32")
        node, status, problem = ctypes.c_uint32(), ctypes.c_uint32(), ctypes.c_uint32()
        failure = manager.CM_Locate_DevNodeW(ctypes.byref(node), ctypes.c_wchar_p(instance), 0)
        if failure == NO_SUCH_NODE:
            return None
        if not failure:
            manager.CM_Get_DevNode_Status(ctypes.byref(status), ctypes.byref(problem), node, 0)
        return problem.value

    def graphics_luid(self, instance: str) -> int | None:
        """The LUID of a GPU or NPU, which changes when its driver restarts; None: unknown."""
        manager = ctypes.CDLL("cfgmgr32")
        node, kind, number = ctypes.c_uint32(), ctypes.c_uint32(), ctypes.c_uint64()
        size = ctypes.c_uint32(ctypes.sizeof(number))
        if manager.CM_Locate_DevNodeW(ctypes.byref(node), ctypes.c_wchar_p(instance), 0):
            return None
        out = (ctypes.byref(kind), ctypes.byref(number), ctypes.byref(size))
        failure = manager.CM_Get_DevNode_PropertyW(node, GPU_LUID, *out, 0)
        return (number.value or None) if not failure and kind.value == UINT64 else None

    def _entries(self, path: str, function: str) -> Iterator[Any]:
        """All that winreg.EnumKey or winreg.EnumValue returns for a key."""
        winreg = importlib.import_module("winreg")
        with (
            suppress(OSError),  # no such key, or no more entries
            winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key,
        ):
            for index in range(MAX_ENTRIES):
                yield getattr(winreg, function)(key, index)


def scan(registry: Registry) -> tuple[Hardware, ...]:
    """Every GPU and NPU that is plugged in."""
    adapters, last_seen = _direct3d_adapters(registry), _last_seen(registry)
    return tuple(
        hardware
        if hardware.luid
        else replace(hardware, luid=_current_luid(adapters.get(video_id, {}), last_seen))
        for video_id, hardware, is_present in _all_hardware(registry)
        if is_present
    )


def _all_hardware(registry: Registry) -> Iterator[tuple[str, Hardware, bool]]:
    """VideoID in lower case ("" if it has none), hardware, and whether it is plugged in."""
    for bus in BUSES:
        for device in registry.keys(rf"{ENUM}\{bus}"):
            for instance in registry.keys(rf"{ENUM}\{bus}\{device}"):
                name = rf"{bus}\{device}\{instance}"
                hardware = _hardware(registry, name)
                if hardware is not None:
                    parameters = registry.values(rf"{ENUM}\{name}\Device Parameters")
                    video_id = str(parameters.get("videoid", "")).lower()
                    yield video_id, hardware, registry.state(name) is not None


def _hardware(registry: Registry, instance: str) -> Hardware | None:
    node = registry.values(rf"{ENUM}\{instance}")
    ids = re.search(r"VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})", instance, re.I)
    vendor, device = (int(ids[1], 16), int(ids[2], 16)) if ids else (0, 0)
    # A device without a driver has no setup class, but its compatible ids name its PCI class.
    base = re.search(r"CC_([0-9A-F]{2})", " ".join(_strings(node.get("compatibleids"))), re.I)
    kind = CLASSES.get(str(node.get("classguid", "")).lower())
    kind = kind or (pci_kind(vendor, device, int(base[1], 16) if base else None) if ids else None)
    if kind is None:
        return None
    driver = registry.values(rf"{CLASS}\{node['driver']}") if node.get("driver") else {}
    maker = str(driver.get("providername", ""))
    generic = maker == "Microsoft" and vendor != MICROSOFT  # the Basic Display Adapter
    description = str(driver.get("driverdesc") or "")
    own_name = description or str(node.get("devicedesc", "")).rpartition(";")[2]
    fallback = pci_name(kind, vendor, device) if ids else own_name
    version = driver.get("driverversion")
    number = registry.graphics_luid(instance)
    return Hardware(
        kind=kind,
        vendor=vendor_name(vendor) if ids else maker,
        name=fallback if generic or not description else description,
        pci_id=f"{vendor:04x}:{device:04x}" if ids else None,
        driver=None if version is None else str(version),
        problem="no-driver" if generic or not driver else _problem(registry.state(instance)),
        address=_address(str(node.get("locationinformation", ""))),
        luid=luid(number) if number else None,
    )


def _address(location: str) -> str | None:
    """ "0000:01:00.0" of "@…pci.sys,#65536;PCI bus %1, device %2, function %3;(1,0,0)"."""
    match = re.search(r"\((\d+),(\d+),(\d+)\)$", location)
    if not match:
        return None
    bus, device, function = map(int, match.groups())
    return f"0000:{bus:02x}:{device:02x}.{function:x}"


def _problem(state: int | None) -> str:
    if state in NO_DRIVER:
        return "no-driver"
    if state == DISABLED:
        return "disabled"
    return "not-started" if state else ""


def adapters(registry: Registry) -> tuple[Device, ...]:
    """The GPUs that DirectML can use, the one with the most memory of its own first: DML.0 is the
    default of ONNX Runtime GenAI.

    NPUs seem to have no entry here; if one had, its kind or its feature level would exclude it.
    """
    kinds = {
        video_id: hardware.kind if is_present and not hardware.problem else "none"
        for video_id, hardware, is_present in _all_hardware(registry)
    }
    last_seen = _last_seen(registry)
    usable = [
        entry
        for key, entry in _direct3d_adapters(registry).items()
        if _is_gpu(entry)
        # The entry of an adapter that was removed stays, but is no longer updated.
        and kinds.get(key, "GPU" if _number(entry.get("lastseen")) >= last_seen else "none")
        == "GPU"
    ]
    usable.sort(key=lambda entry: -_number(entry.get("dedicatedvideomemory")))
    return tuple(
        Device(
            name=f"DML.{index}",
            full_name=str(entry.get("description", "n/a")),
            driver=_version(_number(entry.get("driverversion"))),
            luid=luid(_number(entry["adapterluid"])),
            own_memory_mb=_number(entry["dedicatedvideomemory"]) / 1e6
            if "dedicatedvideomemory" in entry
            else None,
        )
        for index, entry in enumerate(usable)
    )


def _direct3d_adapters(registry: Registry) -> dict[str, Values]:
    """The present and former adapters of Direct3D, by VideoID in lower case."""
    return {key.lower(): registry.values(rf"{DIRECTX}\{key}") for key in registry.keys(DIRECTX)}


def _last_seen(registry: Registry) -> int:
    """The "last seen" of an adapter that is present."""
    seen = [_number(entry.get("lastseen")) for entry in _direct3d_adapters(registry).values()]
    return _number(registry.values(DIRECTX).get("lastseen")) or max(seen, default=0)


def _current_luid(entry: Values, last_seen: int) -> str | None:
    """None: the entry is of an earlier start of Windows, and so is its LUID."""
    is_current = "adapterluid" in entry and _number(entry.get("lastseen")) >= last_seen
    return luid(_number(entry["adapterluid"])) if is_current else None


def _is_gpu(entry: Values) -> bool:
    """Whether the key is an adapter at all, and no software, no NPU and not Microsoft's own."""
    level = _number(entry.get("maxd3d12featurelevel")) or DIRECT3D_11_0
    real = not _number(entry.get("softwareadapter")) and entry.get("vendorid") != MICROSOFT
    return "adapterluid" in entry and real and level >= DIRECT3D_11_0


def luid(number: int) -> str:
    """ "HighPart:LowPart", both in decimal; the high part is signed."""
    high, low = number >> 32, number & 0xFFFFFFFF
    return f"{high - (1 << 32) if high >= 1 << 31 else high}:{low}"


def _version(packed: int) -> str | None:
    """ "32.0.101.6874" of four numbers of 16 bits."""
    return ".".join(str(packed >> shift & 0xFFFF) for shift in (48, 32, 16, 0)) if packed else None


def _strings(value: object) -> Sequence[str]:
    """A list of strings (REG_MULTI_SZ)."""
    return [str(text) for text in value] if isinstance(value, list) else ()


def _number(value: object) -> int:
    """A DWORD or QWORD; some drivers write them as bytes."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "little")
    return value if isinstance(value, int) else 0
