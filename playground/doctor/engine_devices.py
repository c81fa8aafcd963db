"""The devices that each engine finds, and for a kind that it does not find, the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from playground import devices

# An engine's own message about a missing device also holds paths, so only these parts of it are
# reported: libraries of drivers, a driver's error codes, and the code of a failed load on Windows.
KNOWN_TERMS = re.compile(
    r"\b(?:libOpenCL\.so\.1|libze_loader\.so\.1|libze_intel_(?:gpu|npu|vpu)\.so\.1|OpenCL\.dll"
    r"|ze_loader\.dll|ze_intel_(?:gpu|npu)(?:64)?\.dll|npu_level_zero_umd\.dll"
    r"|VCL compiler|(?:ZE_RESULT|CL)_[A-Z]+(?:_[A-Z]+)*)\b|(?<=\": )\d{1,4}\b"
)


@dataclass(frozen=True)
class DeviceRow:
    """A device of an engine. name: None where the engine finds none; then note has the reason."""

    engine: str
    device: str
    name: str | None = None
    driver: str | None = None
    architecture: str | None = None
    luid: str | None = None
    note: str = ""


def device_rows(discovery: devices.Discovery) -> Iterator[DeviceRow]:
    """One row for each device that an engine finds, and one for each kind that it does not."""
    for engine, module, kinds, listed in (
        ("OpenVINO", "openvino", ("CPU", "GPU", "NPU"), discovery.openvino),
        ("DirectML", "", ("DML",), discovery.dml),
        ("PyTorch", "torch", ("CUDA", "XPU"), discovery.torch),
    ):
        for kind in kinds:
            matches = [device for device in listed if device.name.partition(".")[0] == kind]
            for device in matches:
                about = (device.full_name, device.driver, device.architecture, device.luid)
                yield DeviceRow(engine, device.name, *about)
            if not matches:
                is_installed = not module or find_spec(module) is not None
                reason = why_missing(discovery, module, kind) if is_installed else ""
                yield DeviceRow(engine, kind, note=reason or f"{engine} is not installed.")
    yield DeviceRow("NPU library", "NPU", note=npu_library_note(discovery))


def why_missing(discovery: devices.Discovery, probe: str, kind: str) -> str:
    """Why an engine has no device of a kind, with the known terms of the engine's own message."""
    error = discovery.errors.get(probe) or discovery.errors.get(f"{probe}:{kind}")
    terms = KNOWN_TERMS.findall(discovery.details.get(f"{probe}:{kind}", ""))
    message = f"Its message names: {', '.join(dict.fromkeys(terms))}." if terms else ""
    return f"{error or devices.why_not(kind)[0]} {message}".strip()


def npu_library_note(discovery: devices.Discovery) -> str:
    if "npu-library" in discovery.errors:
        return discovery.errors["npu-library"]
    if discovery.npu_library is None:
        return "The NPU library is not installed."
    if discovery.npu_library:
        return "The NPU library finds the NPU."
    return devices.why_not("NPU-LIBRARY")[0]
