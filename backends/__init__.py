"""The inference engines by name. Importing this package imports none of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """What the parent must know of a backend without importing its SDK."""

    title: str  # as a person calls it
    target: str  # "module:Class", started in a worker
    package: str  # what to install
    module: str  # what must be importable for that
    format: str  # of the model folder it reads: openvino | onnx | hf | none
    precisions: tuple[str, ...]  # the first is the default


ENGINES: dict[str, Engine] = {
    "openvino-genai": Engine(
        title="OpenVINO GenAI",
        target="backends.openvino_genai:OpenVinoGenAI",
        package="openvino-genai",
        module="openvino_genai",
        format="openvino",
        precisions=("int8", "int4"),
    ),
    "openvino-optimum": Engine(
        title="OpenVINO Optimum",
        target="backends.openvino_optimum:OpenVinoOptimum",
        package="optimum-intel",
        module="optimum.intel",
        format="openvino",
        precisions=("int8", "int4"),
    ),
    "onnx-genai": Engine(
        title="ONNX Runtime GenAI",
        target="backends.onnx_genai:OnnxGenAI",
        package="onnxruntime-genai-directml" if sys.platform == "win32" else "onnxruntime-genai",
        module="onnxruntime_genai",
        format="onnx",
        precisions=("int4", "int8"),
    ),
    "pytorch": Engine(
        title="PyTorch",
        target="backends.pytorch:PyTorch",
        package="torch",
        module="torch",
        format="hf",
        precisions=("fp32",),
    ),
    "fake": Engine(
        title="Fake (no model)",
        target="backends.fake:Fake",
        package="",
        module="",
        format="none",
        precisions=("30tps",),
    ),
}
