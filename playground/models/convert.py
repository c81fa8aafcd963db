"""The command lines that make a lane's format out of a Hugging Face folder."""

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
_USED = {
    "tokenizer": (),
    "hf": ("gguf", "tokenizers", "torch", "transformers"),
    "openvino": ("openvino", "optimum-intel", "nncf", "torch", "transformers"),
    "onnx": ("onnxruntime-genai", "onnxruntime-genai-directml", "onnx", "torch", "transformers"),
}


def family(format: str) -> str:
    """The file format: "onnx-dml" is ONNX, built for a device."""
    return format.partition("-")[0]


def command(format: str, precision: str, source: Path, target: Path, scratch: Path) -> list[str]:
    """Module and arguments for `children.run`."""
    if family(format) == "openvino":
        options = ["--task", "text-generation-with-past", "--weight-format", precision]
        if precision == "int4":
            options += _openvino_int4(format, source)
        where = ["-m", str(source), "--cache_dir", str(scratch / "hub"), str(target)]
        options += ["--trust-remote-code"] if trust_remote_code() else []
        return ["optimum.commands.optimum_cli", "export", "openvino", *options, *where]
    where = ["-i", str(source), "-o", str(target), "-c", str(scratch / "hub")]
    provider = "dml" if format == "onnx-dml" else "cpu"
    command = ["onnxruntime_genai.models.builder", *where, "-p", precision, "-e", provider]
    extra = ["is_symmetric=false"] if precision == "int8" else []  # with zero points, as OpenVINO's
    extra += ["hf_remote=true"] if trust_remote_code() else []
    return [*command, "--extra_options", *extra] if extra else command


def _openvino_int4(format: str, source: Path) -> list[str]:
    """The seed's export for CPU and GPU: `--sym --group-size 128 --ratio 0.6`, the rest in 8 bits.
    The NPU takes nothing but int4, in groups of 128 or a whole row (OpenVINO's documentation,
    "Inference with GenAI on NPU")."""
    for_npu = format == "openvino-npu"
    group, ratio = (
        _group_size(source, (128,) if for_npu else (128, 64, 32)),
        1.0 if for_npu else 0.6,
    )
    options = ["--sym", "--group-size", str(group), "--ratio", str(ratio)]
    return [*options, "--group-size-fallback", "adjust"]  # for a layer of another width


def _group_size(source: Path, usual: tuple[int, ...]) -> int:
    """The largest usual group that divides the model's width, -1 (a whole row) where none does."""
    width = json.loads((source / "config.json").read_text(encoding="utf-8")).get("hidden_size")
    if not isinstance(width, int):
        return -1
    return next((size for size in usual if width % size == 0), -1)


def versions(format: str) -> dict[str, str]:
    """Of the libraries that made a folder, for its manifest."""
    found = {}
    for package in _USED[family(format)]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
