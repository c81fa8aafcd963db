"""The command lines that convert a Hugging Face folder to the format that a lane reads."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

from backends.shared import trust_remote_code

TITLES = {
    "tokenizer": "prompts",
    "hf": "Hugging Face",
    "openvino": "OpenVINO",
    "openvino-npu": "OpenVINO on the NPU",
    "onnx": "ONNX",
    "onnx-dml": "ONNX on DirectML",
}
_PACKAGES = {  # that convert to a format
    "tokenizer": (),
    "hf": ("gguf", "tokenizers", "torch", "transformers"),
    "openvino": ("openvino", "optimum-intel", "nncf", "torch", "transformers"),
    "onnx": ("onnxruntime-genai", "onnxruntime-genai-directml", "onnx", "torch", "transformers"),
}


def family(model_format: str) -> str:
    """The file format: onnx of "onnx-dml", which is ONNX built for a device."""
    return model_format.partition("-")[0]


def command(
    model_format: str, precision: str, source: Path, target: Path, scratch: Path
) -> list[str]:
    """The module of the converter and its arguments, for `children.run`."""
    if family(model_format) == "openvino":
        options = ["--task", "text-generation-with-past", "--weight-format", precision]
        if precision == "int4":
            options += _openvino_int4(model_format, source)
        paths = ["-m", str(source), "--cache_dir", str(scratch / "hub"), str(target)]
        options += ["--trust-remote-code"] if trust_remote_code() else []
        return ["optimum.commands.optimum_cli", "export", "openvino", *options, *paths]
    paths = ["-i", str(source), "-o", str(target), "-c", str(scratch / "hub")]
    provider = "dml" if model_format == "onnx-dml" else "cpu"
    builder = ["onnxruntime_genai.models.builder", *paths, "-p", precision, "-e", provider]
    extra = ["is_symmetric=false"] if precision == "int8" else []  # asymmetric, as OpenVINO's
    extra += ["hf_remote=true"] if trust_remote_code() else []
    return [*builder, "--extra_options", *extra] if extra else builder


def _openvino_int4(model_format: str, source: Path) -> list[str]:
    """Options for int4 in OpenVINO: for CPU and GPU 60 % of the weights, the others in 8 bits; for
    the NPU all of them, in groups of 128 or a whole row (OpenVINO's documentation, "Inference with
    GenAI on NPU")."""
    for_npu = model_format == "openvino-npu"
    group = _group_size(source, (128,) if for_npu else (128, 64, 32))
    ratio = 1.0 if for_npu else 0.6
    options = ["--sym", "--group-size", str(group), "--ratio", str(ratio)]
    return [*options, "--group-size-fallback", "adjust"]  # for a layer of another width


def _group_size(source: Path, sizes: tuple[int, ...]) -> int:
    """The first of the sizes that divides the model's width; -1, a whole row, where none does."""
    width = json.loads((source / "config.json").read_text(encoding="utf-8")).get("hidden_size")
    if not isinstance(width, int):
        return -1
    return next((size for size in sizes if width % size == 0), -1)


def versions(model_format: str) -> dict[str, str]:
    """The versions of the libraries that convert to the format, for the folder's manifest."""
    versions = {}
    for package in _PACKAGES[family(model_format)]:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
