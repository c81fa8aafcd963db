"""Why a device can't be used, in two sentences: what is wrong, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from playground.devices import probing
from playground.devices.hardware import hardware
from playground.devices.records import Discovery, Hardware

Reason = tuple[str, str]  # problem, remedy

NPU_DRIVER = {
    "win32": "https://www.intel.com/content/www/us/en/download/794734/intel-npu-driver-windows.html",
    "linux": "https://github.com/intel/linux-npu-driver/releases",
}
GPU_DRIVER = {
    "win32": "https://www.intel.com/content/www/us/en/download/785597/intel-arc-graphics-windows.html",
    "linux": "https://github.com/intel/compute-runtime/releases",
}
TORCH = "https://pytorch.org/get-started/locally/"


def why_not(device: str) -> Reason:
    """Why this machine can't use a device: "GPU", "GPU.1", "NPU", "NPU-LIBRARY" (the NPU library's
    NPU), "DML", "CUDA" or "XPU". Waits for `discover`."""
    return explain(device, probing.discover(), hardware(), probing.torch_build(), sys.platform)


def explain(
    device: str,
    discovery: Discovery,
    hardware: Sequence[Hardware],
    torch_build: str | None,
    platform: str,
) -> Reason:
    """Why a machine with this hardware and these findings can't use the device."""
    kind = device.partition(".")[0].upper()
    torch = discovery.torch
    by_kind = {"DML": discovery.dml, "CUDA": torch, "XPU": torch}
    usable = by_kind.get(kind, discovery.openvino)
    others = [other.name for other in usable if other.name.partition(".")[0] == kind]
    if others:
        return f"There is no {device} on this machine.", f"Choose {' or '.join(others)}."
    if kind == "CPU":
        error = discovery.errors.get("openvino:CPU", "OpenVINO finds no CPU that it can use.")
        return error, "Delete the folder .venv, then run: python run.py setup."
    if kind == "DML":
        return _directml(discovery, platform)
    if kind in ("CUDA", "XPU"):
        return _torch(kind, discovery, hardware, torch_build)
    return _intel(kind, discovery, hardware, platform)


def _intel(kind: str, discovery: Discovery, hardware: Sequence[Hardware], platform: str) -> Reason:
    """The reason for OpenVINO's GPU and NPU and the NPU library's NPU, which must be Intel's."""
    what, engine = kind.partition("-")[0], "The NPU library" if "-" in kind else "OpenVINO"
    link = (NPU_DRIVER if what == "NPU" else GPU_DRIVER).get(platform, "")
    present = [device for device in hardware if device.kind == what]
    intel = [device for device in present if device.vendor == "Intel"]
    if intel:
        error = discovery.errors.get("npu-library" if "-" in kind else f"openvino:{what}")
        faulty = next((device for device in intel if device.problem), intel[0])
        return _unused(faulty, engine, error, link, platform)
    if present:
        names = " and ".join(device.name for device in present)
        return (
            f"{engine} supports only Intel {what}s, and this machine has another: {names}.",
            "Choose another lane.",
        )
    needs = "an Intel Core Ultra with the NPU" if what == "NPU" else "an Intel GPU with its"
    return (
        f"{engine} finds no {what} on this machine.",
        f"It needs {needs} driver: {link}, then restart.",
    )


def _unused(device: Hardware, engine: str, error: str | None, link: str, platform: str) -> Reason:
    """Why an engine can't use a device that the machine has."""
    has = f"This machine has an {device.name}"
    restart = f"{link}, then restart."
    if device.problem == "no-driver":
        return f"{has}, but its driver is missing.", f"Install it: {restart}"
    if device.problem == "disabled":
        return f"{has}, but it is disabled.", "Enable it in Device Manager."
    if device.problem == "not-started":
        problem = f"its driver ({device.driver or 'n/a'}) did not start it"
        return f"{has}, but {problem}.", f"Update the driver: {restart}"
    if device.problem == "no-access":
        return (
            f"{has}, but you have no permission to use {device.node}.",
            "Join the group that has: sudo usermod -aG render $USER, then log in again.",
        )
    if error:
        return error, f"Update its driver: {restart}"
    part = "user-mode driver" if device.kind == "NPU" else "compute runtime (OpenCL)"
    problem = f"its {part} is missing or too old"
    if platform == "win32":
        problem = f"its driver ({device.driver or 'n/a'}) may be too old"
    return (
        f"{has}, but {engine} does not find it: {problem}.",
        f"Install the latest version: {restart}",
    )


def _directml(discovery: Discovery, platform: str) -> Reason:
    if platform != "win32":
        return (
            "DirectML needs Windows.",
            "Use onnx-genai:CPU here, or openvino-genai on the GPU.",
        )
    if discovery.dml_package is False:
        return (
            "The installed ONNX Runtime GenAI is a build without DirectML.",
            "Replace it: pip uninstall onnxruntime-genai, then python run.py setup.",
        )
    return (
        "Windows lists no GPU that DirectML can use.",
        "It needs a GPU with a DirectX 12 driver of the GPU's vendor.",
    )


def _torch(
    kind: str, discovery: Discovery, hardware: Sequence[Hardware], torch_build: str | None
) -> Reason:
    """The reason for PyTorch's CUDA (which includes AMD's ROCm) and XPU."""
    vendors = ("NVIDIA", "AMD") if kind == "CUDA" else ("Intel",)
    gpus = [device for device in hardware if device.kind == "GPU" and device.vendor in vendors]
    if not gpus:
        return (
            f"PyTorch's {kind} needs an {' or '.join(vendors)} GPU, and this machine has none.",
            "Use pytorch:CPU here.",
        )
    required = "ROCm" if gpus[0].vendor == "AMD" else kind
    if torch_build != required:
        return (
            f"The installed PyTorch is a build for {torch_build or 'CPU'}, not for {required}.",
            f"To use {gpus[0].name}, install that build into .venv: {TORCH}.",
        )
    if "torch" in discovery.errors:
        return discovery.errors["torch"], "Update the GPU's driver, then restart."
    return f"PyTorch does not find {gpus[0].name}.", "Update the GPU's driver, then restart."
