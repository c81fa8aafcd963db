"""The devices that the engines found, and the hardware that the operating system lists."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Device:
    """A device that an engine can use.

    name: "CPU", "GPU.0", "NPU", "DML.0", "CUDA.0", "XPU.0". luid (Windows): "0:58062", both halves
    in decimal, the format of ONNX Runtime GenAI's DirectML option `luid`. own_memory_mb: a GPU's
    dedicated memory, if known.
    """

    name: str
    full_name: str
    driver: str | None = None
    luid: str | None = None
    architecture: str | None = None
    own_memory_mb: float | None = None


@dataclass(frozen=True)
class Discovery:
    """What the engines answered. None: the engine is not installed, or does not know.

    errors: by probe ("openvino:GPU"), a sentence for the user. details: an engine's own message
    about a missing device; for reports, not for the user.
    """

    openvino: tuple[Device, ...] = ()
    dml: tuple[Device, ...] = ()
    torch: tuple[Device, ...] = ()
    npu_library: bool | None = None  # whether the NPU library finds an NPU
    dml_package: bool | None = None  # whether ONNX Runtime GenAI is a build with DirectML
    errors: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hardware:
    """A GPU or NPU that the operating system sees, whether or not an engine can use it.

    problem: "" | no-driver | disabled | not-started | no-access (to `node`, its device file).
    address: on the PCI bus, "0000:00:02.0". luid (Windows): as in Device.
    """

    kind: str  # GPU | NPU
    vendor: str  # "Intel"; "0x1234" if it is not in VENDORS
    name: str
    pci_id: str | None  # "8086:7d1d"
    driver: str | None  # "32.0.100.4239", "intel_vpu, Linux 6.11.0"
    problem: str = ""
    node: str | None = None
    address: str | None = None
    luid: str | None = None


VENDORS = {
    0x1002: "AMD",
    0x1022: "AMD",
    0x10DE: "NVIDIA",
    0x1414: "Microsoft",
    0x15AD: "VMware",
    0x17CB: "Qualcomm",
    0x1AF4: "virtio",
    0x8086: "Intel",
}
NPUS = {  # from the PCI tables of the Linux drivers ivpu and amdxdna
    (0x8086, 0x7D1D): "Meteor Lake",
    (0x8086, 0xAD1D): "Arrow Lake",
    (0x8086, 0x643E): "Lunar Lake",
    (0x8086, 0xB03E): "Panther Lake",
    (0x8086, 0xFD3E): "Wildcat Lake",
    (0x8086, 0xD71D): "Nova Lake",
    (0x1022, 0x1502): "Phoenix",
    (0x1022, 0x17F0): "Strix",
}
_DISPLAY, _ACCELERATOR = 0x03, 0x12


def vendor_name(vendor: int) -> str:
    return VENDORS.get(vendor, f"0x{vendor:04x}")


def pci_kind(vendor: int, device: int, base_class: int | None) -> str | None:
    """GPU, NPU, or None: another PCI device. base_class: 0x03 display, 0x12 accelerator."""
    if (vendor, device) in NPUS or base_class == _ACCELERATOR:
        return "NPU"
    return "GPU" if base_class == _DISPLAY else None


def pci_name(kind: str, vendor: int, device: int) -> str:
    """A name for an unnamed device: "Intel NPU (Meteor Lake)", "AMD GPU 1002:15bf"."""
    title = f"{vendor_name(vendor)} {kind}"
    generation = NPUS.get((vendor, device))
    return f"{title} ({generation})" if generation else f"{title} {vendor:04x}:{device:04x}"
