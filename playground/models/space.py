"""How much disk a model takes: estimates, on the safe side, from the size of its weights."""

from __future__ import annotations

import os
from pathlib import Path

from playground.models import convert
from playground.models.failures import existing, free_bytes

SMALL_FILES = 50_000_000
# Of a weight; the rest above 4, 8 and 16 bits is scales, and what is kept at more bits. ONNX
# Runtime GenAI keeps the embeddings of an int8 model in 32 bits.
_KEPT = {"int4": 0.85, "int8": 1.1, "fp16": 2.0}
_KEPT_ONNX_INT8 = 2.0


def while_converting(format: str, weights: int) -> int:
    """Needed beside the source while it is converted; OpenVINO's is first written uncompressed."""
    return int(weights * (1.5 if convert.family(format) == "openvino" else 0.75))


def from_gguf(size: int) -> tuple[int, int]:
    """Bytes of the Hugging Face folder of a GGUF file, and of each weight: 4-bit weights become
    32-bit ones, or 16-bit ones in a large model (see from_gguf.py)."""
    return (8 * size, 4) if size < 3_000_000_000 else (4 * size, 2)


def once_converted(format: str, precision: str, weights: int, bytes_each: int) -> int:
    """What stays; `weights`: the source's in bytes, of `bytes_each` each."""
    onnx_int8 = (convert.family(format), precision) == ("onnx", "int8")
    return int(weights / bytes_each * (_KEPT_ONNX_INT8 if onnx_int8 else _KEPT[precision]))


def hub_cache() -> Path:
    """The user's Hugging Face cache, where huggingface_hub (1.21, constants.py) has it."""
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{above}/huggingface"
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(os.path.expanduser(chosen or f"{home}/hub")))


def tightest(wanted: dict[Path, int]) -> tuple[Path, int, int]:
    """Of the disks of these folders the one that would be left with the least: a folder on it, the
    bytes that it is to take, and those free on it now."""
    disks: dict[int, tuple[Path, int]] = {}
    for folder, size in wanted.items():
        disk = existing(folder).stat().st_dev
        first, before = disks.get(disk, (folder, 0))
        disks[disk] = first, before + size
    counted = [(folder, size, free_bytes(folder)) for folder, size in disks.values()]
    return min(counted, key=lambda one: (one[1] == 0, one[2] - one[1]))
