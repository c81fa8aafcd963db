"""Stubs of other machines as sysfs trees and registries, modelled on what owners of such machines
published (lspci, Device Manager, registry exports). They have not been checked on real hardware.
"""

from __future__ import annotations

from pathlib import Path

from playground.devices import windows

INTEL, NVIDIA, AMD = 0x8086, 0x10DE, 0x1002
DISPLAY = "{4d36e968-e325-11ce-bfc1-08002be10318}"
ACCELERATOR = "{F01A9D53-3FF6-48D2-9F97-C8A7004BE10C}"


class StubLinux:
    """A root folder with those parts of /sys, /proc and /usr/share that are read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/sys/kernel/osrelease", "6.11.0-29-generic")
        (root / "sys/bus/pci/drivers").mkdir(parents=True)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"{text}\n", encoding="utf-8")

    def plug_in(
        self, address: str, code: int, vendor: int, device: int, driver: str = "", node: str = ""
    ) -> None:
        """code: the PCI class, 0x030000 for a display; node: "accel/accel0", "drm/renderD128"."""
        folder = f"sys/bus/pci/devices/{address}"
        for name, number in (("class", code), ("vendor", vendor), ("device", device)):
            self.write(f"{folder}/{name}", f"0x{number:04x}")
        if driver:
            target = self.root / "sys/bus/pci/drivers" / driver
            target.mkdir(exist_ok=True)
            (self.root / folder / "driver").symlink_to(target, target_is_directory=True)
        if node:
            (self.root / folder / node).mkdir(parents=True)


class StubRegistry(windows.Registry):
    """Keys and their values; by instance, states (default: 0; None: not plugged in) and LUIDs."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, object]] = {}
        self.states: dict[str, int | None] = {}
        self.luids: dict[str, int] = {}

    def keys(self, path: str) -> list[str]:
        inside = [key[len(path) + 1 :] for key in self.entries if key.startswith(f"{path}\\")]
        return list(dict.fromkeys(key.partition("\\")[0] for key in inside))

    def values(self, path: str) -> windows.Values:
        return self.entries.get(path, {})

    def state(self, instance: str) -> int | None:
        return self.states.get(instance, 0)

    def graphics_luid(self, instance: str) -> int | None:
        return self.luids.get(instance)

    def plug_in(
        self,
        vendor: int,
        device: int,
        pci_class: str,
        driver: tuple[str, str, str] | None,
        *,
        setup_class: str = DISPLAY,
        video: str = "",
        state: int | None = 0,
        luid: int | None = None,
        place: tuple[int, int, int] = (0, 2, 0),
    ) -> None:
        """driver: its description, version and provider. luid: the device property's value.
        place: PCI bus, device and function."""
        instance = rf"PCI\VEN_{vendor:04X}&DEV_{device:04X}&SUBSYS_22128086&REV_08\3&11583659&0&10"
        node: dict[str, object] = {
            "devicedesc": "@oem1.inf,%name%;Multimedia Video Controller",
            "compatibleids": [rf"PCI\VEN_{vendor:04X}&CC_{pci_class}", rf"PCI\CC_{pci_class}"],
            "locationinformation": r"@System32\drivers\pci.sys,#65536;"
            "PCI bus %1, device %2, function %3;({},{},{})".format(*place),
        }
        if driver:
            number = len([key for key in self.entries if key.startswith(windows.CLASS)])
            node |= {"classguid": setup_class, "driver": rf"{setup_class}\{number:04d}"}
            names = ("driverdesc", "driverversion", "providername")
            values = dict(zip(names, driver, strict=True))
            self.entries[rf"{windows.CLASS}\{setup_class}\{number:04d}"] = {**values}
        self.entries[rf"{windows.ENUM}\{instance}"] = node
        self.entries[rf"{windows.ENUM}\{instance}\Device Parameters"] = {"videoid": video}
        self.states[instance] = state
        if luid is not None:
            self.luids[instance] = luid

    def adapter(
        self, video: str, description: str, vendor: int, luid: int, **values: object
    ) -> None:
        """An adapter of Direct3D, with driver 32.0.101.6874, present at the last start."""
        entry = {"description": description, "vendorid": vendor, "adapterluid": luid}
        seen = {"lastseen": 900, "driverversion": 0x0020_0000_0065_1ADA, "softwareadapter": 0}
        self.entries[rf"{windows.DIRECTX}\{video}"] = {**entry, **seen, **values}


def laptop() -> StubRegistry:
    """A Windows laptop: Intel GPU and NPU, an NVIDIA GPU, and an AMD GPU that was docked once."""
    machine = StubRegistry()
    intel = ("Intel(R) Arc(TM) Graphics", "32.0.101.6874", "Intel Corporation")
    machine.plug_in(INTEL, 0x7D55, "0300", intel, video="{AAAA}")
    nvidia = ("NVIDIA GeForce RTX 4060 Laptop GPU", "32.0.15.6614", "NVIDIA")
    machine.plug_in(NVIDIA, 0x28E0, "0302", nvidia, video="{bbbb}", place=(1, 0, 0))
    npu = ("Intel(R) AI Boost", "32.0.100.4239", "Intel Corporation")
    machine.plug_in(
        INTEL, 0x7D1D, "1200", npu, setup_class=ACCELERATOR, video="{cccc}", luid=0x1030D
    )
    docked = ("AMD Radeon RX 7600", "32.0.21041.1000", "Advanced Micro Devices, Inc.")
    machine.plug_in(AMD, 0x7480, "0300", docked, video="{dddd}", state=None)
    machine.entries[windows.DIRECTX] = {"lastseen": 900}
    machine.adapter("{aaaa}", intel[0], INTEL, 0xE2CA, dedicatedvideomemory=128 << 20)
    machine.adapter("{bbbb}", nvidia[0], NVIDIA, 0x1_0000_F3A1, dedicatedvideomemory=8 << 30)
    machine.adapter("{cccc}", npu[0], INTEL, 0x9999, lastseen=899)
    machine.adapter("{dddd}", docked[0], AMD, 0x22222)
    machine.adapter("{eeee}", "Microsoft Basic Render Driver", 0x1414, 0x17034, softwareadapter=1)
    machine.entries[windows.DIRECTX + r"\UserGpuPreferences"] = {}
    return machine
