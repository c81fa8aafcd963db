"""The inference engines by name. Importing this package imports none of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceSupport:
    """What an engine supports on one kind of device."""

    format: str  # of the model folder: openvino | openvino-npu | onnx | onnx-dml | hf | none
    precisions: tuple[str, ...]  # the first is the default
    fixed_capacity: bool = False  # static shapes: loading fixes the number of tokens


@dataclass(frozen=True)
class Engine:
    """What the program knows of a backend without importing its SDK."""

    title: str  # for display
    target: str  # "module:Class" of the backend
    package: str  # to install
    module: str  # importable if the package is installed
    devices: Mapping[str, DeviceSupport]  # by kind: "GPU" for GPU.0 and GPU.1; default first
    best: tuple[str, ...] = ("CPU",)  # kinds of devices in order of preference
    own_environment: bool = False  # runs in .venv-npu, whose packages conflict with all others


ENGINES: dict[str, Engine] = {
    "npu-library": Engine(
        title="Intel NPU Library",
        target="backends.npu_library:NpuLibrary",
        package="intel-npu-acceleration-library",
        module="",
        devices={
            "NPU": DeviceSupport("hf", ("int4", "int8", "fp16")),
            "CPU": DeviceSupport("hf", ("fp16",)),
        },
        best=("NPU",),
        own_environment=True,
    ),
    "openvino-genai": Engine(
        title="OpenVINO GenAI",
        target="backends.openvino_genai:OpenVinoGenAI",
        package="openvino-genai",
        module="openvino_genai",
        devices={
            "CPU": DeviceSupport("openvino", ("int8", "int4", "fp16")),
            "GPU": DeviceSupport("openvino", ("int4", "int8", "fp16")),
            "NPU": DeviceSupport("openvino-npu", ("int4",), fixed_capacity=True),
            "NPU-on-CPU": DeviceSupport("openvino-npu", ("int4",), fixed_capacity=True),
        },
        best=("NPU", "GPU", "CPU"),
    ),
    "openvino-optimum": Engine(
        title="OpenVINO Optimum",
        target="backends.openvino_optimum:OpenVinoOptimum",
        package="optimum-intel",
        module="optimum.intel",
        devices={
            "CPU": DeviceSupport("openvino", ("int8", "int4", "fp16")),
            "GPU": DeviceSupport("openvino", ("int4", "fp16", "int8")),
        },
        best=("GPU", "CPU"),
    ),
    "onnx-genai": Engine(
        title="ONNX Runtime GenAI",
        target="backends.onnx_genai:OnnxGenAI",
        package="onnxruntime-genai-directml" if sys.platform == "win32" else "onnxruntime-genai",
        module="onnxruntime_genai",
        devices={
            "CPU": DeviceSupport("onnx", ("int4", "int8")),
            "DML": DeviceSupport("onnx-dml", ("int4",)),
        },
        best=("DML", "CPU"),
    ),
    "pytorch": Engine(
        title="PyTorch",
        target="backends.pytorch:PyTorch",
        package="torch",
        module="torch",
        devices={
            "CPU": DeviceSupport("hf", ("fp32",)),
            "CUDA": DeviceSupport("hf", ("fp16", "bf16")),
            "XPU": DeviceSupport("hf", ("fp16", "bf16")),
        },
        best=("CUDA", "XPU", "CPU"),
    ),
    "fake": Engine(
        title="Fake (no model)",
        target="backends.fake:Fake",
        package="",
        module="",
        devices={"CPU": DeviceSupport("none", ("30tps",))},
    ),
}
