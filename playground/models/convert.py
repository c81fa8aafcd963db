"""The command lines that make a lane's format out of a Hugging Face folder."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

TITLES = {"hf": "Hugging Face", "openvino": "OpenVINO", "onnx": "ONNX"}
_USED = {
    "hf": ("gguf", "tokenizers", "torch", "transformers"),
    "openvino": ("openvino", "optimum-intel", "nncf", "torch", "transformers"),
    "onnx": ("onnxruntime-genai", "onnxruntime-genai-directml", "onnx", "torch", "transformers"),
}


def command(format: str, precision: str, source: Path, target: Path, scratch: Path) -> list[str]:
    """Module and arguments for `children.run`."""
    if format == "openvino":
        options = ["--task", "text-generation-with-past", "--weight-format", precision]
        if precision == "int4":
            group = str(_group_size(source))
            options += ["--sym", "--group-size", group, "--ratio", "1.0"]
            options += ["--group-size-fallback", "adjust"]  # for a layer of another width
        where = ["-m", str(source), "--cache_dir", str(scratch / "hub"), str(target)]
        return ["optimum.commands.optimum_cli", "export", "openvino", *options, *where]
    where = ["-i", str(source), "-o", str(target), "-c", str(scratch / "hub")]
    command = ["onnxruntime_genai.models.builder", *where, "-p", precision, "-e", "cpu"]
    if precision == "int8":  # with zero points, as OpenVINO's int8: closer to the original
        command += ["--extra_options", "is_symmetric=false"]
    return command


def _group_size(source: Path) -> int:
    """The largest usual group that divides the model's width, -1 (a whole row) where none does."""
    width = json.loads((source / "config.json").read_text(encoding="utf-8")).get("hidden_size")
    if not isinstance(width, int):
        return -1
    return next((size for size in (128, 64, 32) if width % size == 0), -1)


def versions(format: str) -> dict[str, str]:
    """Of the libraries that made a folder, for its manifest."""
    found = {}
    for package in _USED[format]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
