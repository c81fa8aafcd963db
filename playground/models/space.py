"""How much disk space a model needs: high estimates from the size of its weights."""

from __future__ import annotations

import os
from pathlib import Path

from playground.models import convert, folders
from playground.models.catalogue import Source
from playground.models.failures import existing, free_bytes
from playground.models.target import Target

SMALL_FILES = 50_000_000
# Bytes of a parameter, with scales and with the layers that are kept in more bits. ONNX Runtime
# GenAI keeps the embeddings of an int8 model in 32 bits.
_PARAMETER_BYTES = {"int4": 0.85, "int8": 1.1, "fp16": 2.0}
_PARAMETER_BYTES_ONNX_INT8 = 2.0


def source_weights(source: Source, to_fetch: int = 0) -> tuple[int, int]:
    """Bytes of the weights that the converters read, and of each parameter: 4 in what is converted
    from GGUF, and hardly ever more than 2 in what others publish.

    to_fetch: the size of a hub's model, in case it is not there yet.
    """
    if source.preset:
        return 4 * source.preset.parameters, 4
    original = Target(source, "hf", "")
    if original.is_there:
        return folders.weight_bytes(original.location), 4 if source.kind == "gguf" else 2
    if source.kind == "gguf" and source.path is not None:
        size = source.path.stat().st_size
        # 4-bit weights become 32-bit ones, or 16-bit ones in a large model: see gguf/convert.py
        return (8 * size, 4) if size < 3_000_000_000 else (4 * size, 2)
    return to_fetch, 2


def while_building(step: Target, weights: int) -> int:
    """Bytes needed for a build, beside what is there already; weights: of the source. A download
    from a hub goes to the user's cache and is counted there."""
    if step.remote or step.local_path:
        return SMALL_FILES
    if step.format != "hf":  # OpenVINO first writes 16-bit weights
        factor = 1.5 if convert.family(step.format) == "openvino" else 0.75
        return int(weights * factor) + SMALL_FILES
    preset = step.source.preset
    return weights + (preset.fetch_bytes if preset else 0) + SMALL_FILES


def once_built(step: Target, weights: int, parameter_bytes: int) -> int:
    """Bytes of the result; weights: of the source, with `parameter_bytes` for each parameter."""
    if step.format == "hf":
        return weights
    onnx_int8 = (convert.family(step.format), step.precision) == ("onnx", "int8")
    kept = _PARAMETER_BYTES_ONNX_INT8 if onnx_int8 else _PARAMETER_BYTES[step.precision]
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
