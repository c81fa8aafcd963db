"""How much disk space a model needs: high estimates from the size of its weights."""

from __future__ import annotations

import os
from pathlib import Path

from playground.models import convert
from playground.models.failures import existing, free_bytes

SMALL_FILES = 50_000_000
# Bytes of a parameter, with scales and with the layers that are kept in more bits. ONNX Runtime
# GenAI keeps the embeddings of an int8 model in 32 bits.
_PARAMETER_BYTES = {"int4": 0.85, "int8": 1.1, "fp16": 2.0}
_PARAMETER_BYTES_ONNX_INT8 = 2.0


def while_converting(model_format: str, weights: int) -> int:
    """Bytes needed beside the source during a conversion; OpenVINO first writes 16-bit weights."""
    return int(weights * (1.5 if convert.family(model_format) == "openvino" else 0.75))


def from_gguf(size: int) -> tuple[int, int]:
    """Bytes of the Hugging Face folder of a GGUF file, and of each of its weights: 4-bit weights
    become 32-bit ones, or 16-bit ones in a large model (see gguf/convert.py)."""
    return (8 * size, 4) if size < 3_000_000_000 else (4 * size, 2)


def once_converted(model_format: str, precision: str, weights: int, parameter_bytes: int) -> int:
    """Bytes of the result; weights: of the source, with `parameter_bytes` for each parameter."""
    onnx_int8 = (convert.family(model_format), precision) == ("onnx", "int8")
    kept = _PARAMETER_BYTES_ONNX_INT8 if onnx_int8 else _PARAMETER_BYTES[precision]
    return int(weights / parameter_bytes * kept)


def hub_cache() -> Path:
    """The user's Hugging Face cache, found as huggingface_hub does (1.21, constants.py)."""
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{above}/huggingface"
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(os.path.expanduser(chosen or f"{home}/hub")))


def tightest(needed: dict[Path, int]) -> tuple[Path, int, int]:
    """The disk that would have the least space left, given the bytes needed in each folder: a
    folder on that disk, the bytes needed there, and the bytes free there now."""
    disks: dict[int, tuple[Path, int]] = {}
    for folder, size in needed.items():
        disk = existing(folder).stat().st_dev
        same_disk, before = disks.get(disk, (folder, 0))
        disks[disk] = same_disk, before + size
    candidates = [(folder, size, free_bytes(folder)) for folder, size in disks.values()]
    return min(candidates, key=lambda disk: (disk[1] == 0, disk[2] - disk[1]))
