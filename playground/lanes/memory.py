"""What a lane will take of the machine's memory, and whether so much is free.

The figures in `Takes` are measured, with `python -m benchmarks.memory`, on models of 0.1 to 1.2
billion parameters (openvino-genai 2026.4.1, onnxruntime-genai 0.18, torch 2.13, Linux).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from playground import devices
from playground.errors import Unavailable
from playground.lanes.lane import Lane

# What is left to the system and other programs: this share of the memory, or so many MB.
RESERVE, MIN_RESERVE_MB = 0.05, 500.0
FIX = (
    "Close other programs, unload idle workers (Machine tab), choose a smaller precision, or start "
    "with --force."
)
CARD_MB = 1500  # a built-in GPU has less of its own; more than that is a card
CHUNK = 1024  # prompt tokens that a pipeline with static shapes reads at once, at most


class NotEnoughMemory(Unavailable):
    """A lane that is not loaded since the machine would have to swap; later it may be."""


@dataclass(frozen=True)
class MemoryModel:
    """What an engine keeps in memory; on the CPU unless told."""

    base_mb: float  # Python, the libraries, and what they set up
    weights: float  # copies of the weights (`Weights.kept`), in the engine's own layout
    kv_bytes: float  # for each number in the cache of keys and values
    floats: float = 0  # for each prompt token and unit of the model's width, while it is read
    logits: float = 0  # copies of the logits of each prompt token, in 32-bit floats
    mapped: bool = False  # beside them their file's pages: see Estimate
    scores: float = 0  # bytes for each head, token of room and token of a chunk of the prompt


@dataclass(frozen=True)
class Estimate:
    """MB of resident memory that a worker has while it reads a prompt, when it has most."""

    resident_mb: float
    # Pages of the weights' file count as resident once touched. Some engines touch them while
    # loading and keep a copy in their own layout (in a run of OpenVINO's hardly one is referenced):
    # the system drops them when it needs to, and nothing is swapped.
    mapped_mb: float

    @property
    def needed_mb(self) -> float:
        return self.resident_mb - self.mapped_mb


_KV_U8 = 1.125  # a byte, and for each head a scale and a zero point
_OPENVINO = {"int8": 0.0, "int4": 0.0, "fp16": 200.0}  # some fp16 becomes 32-bit floats meanwhile
_ONNX = {"int4": 1.37, "int8": 1.2}  # with scales for every 32 weights, kept twice
CPU = {
    "openvino-genai": {
        p: MemoryModel(195 + n, 1, _KV_U8, 28, 0, True) for p, n in _OPENVINO.items()
    },
    "openvino-optimum": {
        p: MemoryModel(635 + n, 1, _KV_U8, 50, 2, True) for p, n in _OPENVINO.items()
    },
    "onnx-genai": {p: MemoryModel(95, n, 4, 26, 1) for p, n in _ONNX.items()},
    "pytorch": {"fp32": MemoryModel(485, 1, 4, 50)},
    "npu-library": {"fp16": MemoryModel(600, 1.35, 2, 100, 1, True)},
}
# The NPU's pipeline on the CPU: weights unpacked, for the prompt and for the answer.
NPU_ON_CPU = MemoryModel(195, 9, 5, 0, 0, True, scores=4)


def takes(lane: Lane) -> MemoryModel | None:
    """What the lane's engine keeps there; None where nobody knows. A GPU or NPU that shares the
    machine's memory holds the weights and the cache there, once, and what else it needs is not
    known: the least that it takes. Of one with memory of its own, only the host's part counts."""
    if lane.kind == "NPU-on-CPU":
        return NPU_ON_CPU
    of_engine = CPU.get(lane.backend, {})
    on_cpu = of_engine.get(lane.precision) or next(iter(of_engine.values()), None)
    if lane.kind == "CPU" or on_cpu is None:
        return on_cpu
    once = MemoryModel(on_cpu.base_mb, weights=1, kv_bytes=2)
    if lane.kind in ("CUDA", "XPU"):  # all weights are read to the host first
        return replace(once, kv_bytes=0)
    return once if shares_memory(lane) else MemoryModel(on_cpu.base_mb, weights=0, kv_bytes=0)


def shares_memory(lane: Lane) -> bool:
    """Whether its device has no memory of its own to speak of: by what is told of it (DirectML), or
    else by its name, in which OpenVINO says "(dGPU)"."""
    found = devices.discover()
    there = {each.name: each for each in (*found.openvino, *found.dml)}
    device = there.get(lane.device if lane.device != "DML" else "DML.0")
    if device is not None and device.own_memory_mb is not None:
        return device.own_memory_mb < CARD_MB
    name = device.full_name if device else ""
    return "(dGPU)" not in name and "NVIDIA" not in name


def on_a_card(lane: Lane) -> bool:
    """Whether its device has memory and a power supply of its own."""
    if lane.runs_on_cpu or lane.kind == "NPU":
        return False
    return lane.kind in ("CUDA", "XPU") or not shares_memory(lane)


@dataclass(frozen=True)
class Weights:
    """MB of a lane's weights."""

    kept: float  # at the lane's precision
    file: float  # as they lie in the folder, without what is hardly touched


_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "int4": 0.5}  # of a parameter


def weights_of(lane: Lane, told: Mapping[str, Any]) -> Weights | None:
    """Of what `models.weights` tells; None where it is not known. A table that is only looked up in
    stays in the file, but engines that read Hugging Face's format, or compile for the NPU, take it
    along; the former make their own precision of all."""
    whole, read = told.get("bytes"), told.get("read_bytes")
    if not whole or not read:
        return None
    if lane.format != "hf":
        known = whole if lane.support.fixed_capacity else read
        return Weights(known / 1e6, known / 1e6)
    stored = _BYTES.get(str(told.get("recipe")).partition(" ")[0].rstrip(","))
    return Weights(whole / stored * _BYTES[lane.precision] / 1e6, whole / 1e6) if stored else None


def estimate(
    lane: Lane,
    weights: Mapping[str, Any],
    config: Mapping[str, Any],
    tokens: int,
    prompt: int | None = None,
) -> Estimate | None:
    """What its worker will have, loaded, with `tokens` of prompt and answer; None if unknown.

    weights: as of `models.weights`; config: as of `shape_of`; prompt: how many of the tokens are
    read at once, all of them unless told.
    """
    known, sizes = takes(lane), weights_of(lane, weights)
    if known is None or sizes is None:
        return None
    prompt = tokens if prompt is None else min(prompt, tokens)
    width, heads = _first(config, "hidden_size", "n_embd"), _heads(config)
    numbers = 2 * _first(config, "num_hidden_layers", "n_layer") * _kv_width(config)
    for_prompt = 4 * prompt * known.floats * width
    for_prompt += 4 * prompt * known.logits * _first(config, "vocab_size")
    for_prompt += known.scores * heads * tokens * min(prompt, CHUNK)
    cache = tokens * numbers * known.kv_bytes
    mapped = sizes.file if known.mapped else 0.0
    fixed = known.base_mb + known.weights * sizes.kept + mapped
    return Estimate(fixed + (cache + for_prompt) / 1e6, mapped)


def shape_of(folder: Path) -> dict[str, Any]:
    """A model folder's own description of its shape, under the names of Hugging Face's config.json;
    empty where it has none."""
    for name in ("config.json", "genai_config.json"):
        try:
            told = json.loads((folder / name).read_text(encoding="utf-8"))
            if name == "config.json":
                return {**told, **(told.get("text_config") or {})}
            model = told["model"]
            return {**model, **model["decoder"], "head_dim": model["decoder"].get("head_size")}
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return {}


def free_mb() -> tuple[float, float]:
    """What programs can have without swapping, and how much of it is kept for the system."""
    memory = psutil.virtual_memory()
    return memory.available / 1e6, max(RESERVE * memory.total / 1e6, MIN_RESERVE_MB)


def check(lane: Lane, title: str, weights: Mapping[str, Any], folder: Path, tokens: int) -> None:
    """Raises NotEnoughMemory, with the figures, where loading would make the machine swap; where
    they are not known, nothing is said. Most of many tokens is taken for the answer."""
    known = estimate(lane, weights, shape_of(folder), tokens, prompt=CHUNK)
    free, kept = free_mb()
    if known is not None and known.needed_mb > free - kept:
        raise NotEnoughMemory(
            f"{title} at {lane.precision} needs about {_gb(known.needed_mb)} of memory on this "
            f"lane; {_gb(free)} are free, of which {_gb(kept)} stay with the system.",
            FIX,
        )


def _first(config: Mapping[str, Any], *names: str) -> int:
    """The first of the names that has a number; 0 where none has, which leaves a part out."""
    found = (config.get(name) for name in names)
    return next((each for each in found if isinstance(each, int)), 0)


def _heads(config: Mapping[str, Any]) -> int:
    return _first(config, "num_attention_heads", "n_head")


def _kv_width(config: Mapping[str, Any]) -> int:
    """Numbers that a layer keeps for a token as its key, and as many as its value."""
    width = _first(config, "hidden_size", "n_embd")
    of_head = _first(config, "head_dim") or width // max(_heads(config), 1)
    return of_head * _first(config, "num_key_value_heads", "num_attention_heads", "n_head")


def _gb(mb: float) -> str:
    return f"{mb / 1000:.1f} GB"
