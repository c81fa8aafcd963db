"""Why a device cannot be used, in two sentences for a person: what is wrong, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from playground.devices import probing
from playground.devices.hardware import hardware
from playground.devices.records import Discovery, Hardware

Reason = tuple[str, str]

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
    """Why this machine cannot use "GPU", "GPU.1", "NPU", "NPU-LIBRARY" (the NPU library's NPU),
    "DML", "CUDA" or "XPU", and what to do about it. Waits for `discover`."""
    return explain(device, probing.discover(), hardware(), probing.torch_build(), sys.platform)


def explain(
    device: str,
    found: Discovery,
    here: Sequence[Hardware],
    torch_build: str | None,
    platform: str,
) -> Reason:
    """The same of any machine."""
    kind = device.partition(".")[0].upper()
    lists = {"DML": found.dml, "CUDA": found.torch, "XPU": found.torch}.get(kind, found.openvino)
    others = [each.name for each in lists if each.name.partition(".")[0] == kind]
    if others:
        return f"There is no {device} on this machine.", f"Choose {' or '.join(others)}."
    if kind == "CPU":
        error = found.errors.get("openvino:CPU", "OpenVINO finds no CPU that it can use.")
        return error, "Delete the folder .venv and run: python run.py setup."
    if kind == "DML":
        return _directml(found, platform)
    if kind in ("CUDA", "XPU"):
        return _torch(kind, found, here, torch_build)
    return _intel(kind, found, here, platform)


def _intel(kind: str, found: Discovery, here: Sequence[Hardware], platform: str) -> Reason:
    """OpenVINO's GPU and NPU and the NPU library's NPU, all of which want Intel's."""
    what, who = kind.partition("-")[0], "The NPU library" if "-" in kind else "OpenVINO"
    link = (NPU_DRIVER if what == "NPU" else GPU_DRIVER).get(platform, "")
    built_in = [each for each in here if each.kind == what]
    intel = [each for each in built_in if each.vendor == "Intel"]
    if intel:
        error = found.errors.get("npu-library" if "-" in kind else f"openvino:{what}")
        broken = next((each for each in intel if each.problem), intel[0])
        return _unused(broken, who, error, link, platform)
    if built_in:
        names = " and ".join(each.name for each in built_in)
        return (
            f"{who} drives Intel {what}s only, and this machine's is another: {names}.",
            "Choose another lane.",
        )
    needs = "an Intel Core Ultra with the NPU" if what == "NPU" else "an Intel GPU with its"
    return (
        f"{who} finds no {what} on this machine.",
        f"It needs {needs} driver: {link}, then restart.",
    )


def _unused(one: Hardware, who: str, error: str | None, link: str, platform: str) -> Reason:
    """What keeps an engine from a device that is built in."""
    has = f"This machine has an {one.name}"
    restart = f"{link}, then restart."
    if one.problem == "no-driver":
        return f"{has}, but its driver is missing.", f"Install it: {restart}"
    if one.problem == "disabled":
        return f"{has}, but it is disabled.", "Enable it in Device Manager."
    if one.problem == "not-started":
        trouble = f"its driver ({one.driver or 'n/a'}) did not start it"
        return f"{has}, but {trouble}.", f"Update the driver: {restart}"
    if one.problem == "no-access":
        return (
            f"{has}, but you may not use {one.node}.",
            "Join the group that may: sudo usermod -aG render $USER, then log in again.",
        )
    if error:
        return error, f"Update its driver: {restart}"
    part = "user-mode driver" if one.kind == "NPU" else "compute runtime (OpenCL)"
    trouble = f"its {part} is missing or too old"
    if platform == "win32":
        trouble = f"its driver ({one.driver or 'n/a'}) may be too old"
    return f"{has}, but {who} does not find it: {trouble}.", f"Install the newest: {restart}"


def _directml(found: Discovery, platform: str) -> Reason:
    if platform != "win32":
        return (
            "DirectML needs Windows.",
            "Use onnx-genai:CPU here, or openvino-genai on the GPU.",
        )
    if found.dml_package is False:
        return (
            "The installed ONNX Runtime GenAI is a build without DirectML.",
            "Install the other one: pip uninstall onnxruntime-genai, then python run.py setup.",
        )
    return (
        "Windows lists no GPU that DirectML can use.",
        "It needs a GPU with a driver for DirectX 12 of the GPU's maker.",
    )


def _torch(
    kind: str, found: Discovery, here: Sequence[Hardware], torch_build: str | None
) -> Reason:
    """PyTorch's CUDA (also AMD's ROCm, which is called so) and XPU."""
    makers = ("NVIDIA", "AMD") if kind == "CUDA" else ("Intel",)
    gpus = [each for each in here if each.kind == "GPU" and each.vendor in makers]
    if not gpus:
        return (
            f"PyTorch's {kind} needs a GPU of {' or '.join(makers)}, and this machine has none.",
            "Use pytorch:CPU here.",
        )
    wanted = "ROCm" if gpus[0].vendor == "AMD" else kind
    if torch_build != wanted:
        return (
            f"The installed PyTorch is a build for the {torch_build or 'CPU'}, not {wanted}.",
            f"To use {gpus[0].name}, install that build into .venv: {TORCH}.",
        )
    if "torch" in found.errors:
        return found.errors["torch"], "Update the GPU's driver, then restart."
    return f"PyTorch does not find {gpus[0].name}.", "Update the GPU's driver, then restart."
