"""How much of the machine's memory a lane needs, and whether that much is free.

An estimate is base + weights × factor + what each token needs. The figures are measured with
`python -m benchmarks.memory` on models of 0.1 to 0.4 billion parameters (openvino-genai 2026.4.1,
onnxruntime-genai 0.18, torch 2.13, Linux).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from backends.base import LoadedWeights
from playground import devices
from playground.chat_template import Json
from playground.errors import Unavailable
from playground.lanes.lane import Lane
from playground.prompt import read_config

# What is left to the system and other programs: this share of the memory, but at least so many MB.
RESERVE, MIN_RESERVE_MB = 0.05, 500.0
FIX = (
    "Close other programs, unload idle workers (Machine tab), choose a smaller precision, or start "
    "with --force."
)
MIN_CARD_MB = 1500  # a graphics card has at least this much memory of its own, a built-in GPU less
CHUNK = 1024  # prompt tokens that are read at once, at most
_PARAMETER_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "int4": 0.5}


class NotEnoughMemory(Unavailable):
    """A lane that is not loaded because the machine would have to swap; later it may fit."""


@dataclass(frozen=True)
class MemoryModel:
    """What an engine keeps in memory."""

    base_mb: float  # Python and the libraries
    weights: float  # copies of the weights in the process's own memory
    kv_bytes: float  # for each number in the cache of keys and values
    logits: float = 0  # copies of the logits of each prompt token, in 32-bit floats
    in_place: bool = False  # the weights are also read from their file's pages for every token


@dataclass(frozen=True)
class Estimate:
    """MB of memory of a worker while it reads a prompt, when it needs the most.

    Pages of other files, such as libraries, are not counted: they may count as resident, depending
    on what else the machine does, but the system drops them when it needs memory.
    """

    private_mb: float  # the process's own memory
    mapped_mb: float  # the weights' file, where the engine works on its pages

    @property
    def needed_mb(self) -> float:
        return self.private_mb + self.mapped_mb


ON_CPU = {  # kv_bytes of OpenVINO: a byte, and for each head a scale and a zero point
    "openvino-genai": MemoryModel(base_mb=130, weights=1, kv_bytes=1.125),
    "openvino-optimum": MemoryModel(base_mb=470, weights=1, kv_bytes=1.125, logits=2),
    "onnx-genai": MemoryModel(base_mb=45, weights=1.37, kv_bytes=4, logits=1),
    "pytorch": MemoryModel(base_mb=370, weights=0, kv_bytes=4, in_place=True),
    "npu-library": MemoryModel(base_mb=600, weights=1.35, kv_bytes=2, logits=1),
}
# The NPU's pipeline on the CPU unpacks the weights to 16 bits.
NPU_ON_CPU = MemoryModel(base_mb=490, weights=4.1, kv_bytes=5)
_OPENVINO_FP16_MB = 200  # some 16-bit weights are computed as 32-bit floats


def memory_model(lane: Lane) -> MemoryModel | None:
    """What the lane's engine keeps in the machine's memory; None where it is not known.

    On a GPU or NPU that shares this memory it is a lower bound: weights and cache, once. Of a
    device with memory of its own, only the host's part counts.
    """
    if lane.kind == "NPU-on-CPU":
        return NPU_ON_CPU
    model = ON_CPU.get(lane.backend)
    if model is None:
        return None
    if lane.kind != "CPU":
        reads_all = lane.kind in ("CUDA", "XPU")  # into the host's memory first
        shared = 0 if reads_all else int(shares_memory(lane))
        return MemoryModel(model.base_mb, weights=shared or int(reads_all), kv_bytes=2 * shared)
    if lane.precision == "fp16" and lane.format == "openvino":
        return replace(model, base_mb=model.base_mb + _OPENVINO_FP16_MB)
    return model


def shares_memory(lane: Lane) -> bool:
    """Whether the lane's device has no memory of its own to speak of: by its size where it is known
    (DirectML), or else by the name, in which OpenVINO writes "(dGPU)" for a card."""
    discovery = devices.discover()
    by_name = {device.name: device for device in (*discovery.openvino, *discovery.dml)}
    device = by_name.get(lane.device if lane.device != "DML" else "DML.0")
    if device is not None and device.own_memory_mb is not None:
        return device.own_memory_mb < MIN_CARD_MB
    name = device.full_name if device else ""
    return "(dGPU)" not in name and "NVIDIA" not in name


def on_a_card(lane: Lane) -> bool:
    """Whether the lane's device has memory and a power supply of its own."""
    if lane.runs_on_cpu or lane.kind == "NPU":
        return False
    return lane.kind in ("CUDA", "XPU") or not shares_memory(lane)


def weights_mb(lane: Lane, weights: LoadedWeights | None) -> float | None:
    """MB of the weights at the lane's precision; None where it is not known. A table that is only
    looked up counts where the engine converts the weights itself or compiles for the NPU."""
    if weights is None or not weights["read_bytes"]:
        return None
    size, read = weights["bytes"], weights["read_bytes"]
    if lane.format != "hf":
        return (size if lane.support.fixed_capacity else read) / 1e6
    stored = _PARAMETER_BYTES.get(weights["recipe"].partition(" ")[0].rstrip(","))
    return size / stored * _PARAMETER_BYTES[lane.precision] / 1e6 if stored else None


def estimate(
    lane: Lane, weights: LoadedWeights | None, config: Json, tokens: int, prompt: int | None = None
) -> Estimate | None:
    """The memory of the lane's worker with `tokens` of prompt and answer; None if unknown.

    config: as `shape_of` returns it; prompt: how many of the tokens are the prompt, default: all.
    """
    model, size = memory_model(lane), weights_mb(lane, weights)
    if model is None or size is None:
        return None
    read_at_once = min(tokens if prompt is None else prompt, tokens, CHUNK)
    kv_numbers = 2 * _number(config, "num_hidden_layers", "n_layer") * _kv_width(config)
    cache = tokens * kv_numbers * model.kv_bytes
    logits = 4 * read_at_once * _number(config, "vocab_size") * model.logits
    private = model.base_mb + size * model.weights + (cache + logits) / 1e6
    return Estimate(private, size if model.in_place else 0.0)


def shape_of(folder: Path) -> Json:
    """A model's shape, under the names of Hugging Face's config.json; empty where it is unknown."""
    try:
        return read_config(folder)
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def free_mb() -> tuple[float, float]:
    """The MB that programs can have without swapping, and how many of these are kept free."""
    memory = psutil.virtual_memory()
    return memory.available / 1e6, max(RESERVE * memory.total / 1e6, MIN_RESERVE_MB)


def check(lane: Lane, title: str, weights: LoadedWeights | None, folder: Path, tokens: int) -> None:
    """Raise NotEnoughMemory where loading is known to make the machine swap."""
    need = estimate(lane, weights, shape_of(folder), tokens)
    free, kept = free_mb()
    if need is not None and need.needed_mb > free - kept:
        raise NotEnoughMemory(
            f"{title} at {lane.precision} needs about {_gb(need.needed_mb)} of memory on this "
            f"lane; {_gb(free)} are free, of which {_gb(kept)} stay with the system.",
            FIX,
        )


def _number(config: Json, *names: str) -> int:
    """The first of the fields that is a number; 0 where none is, which leaves a part out."""
    values = (config.get(name) for name in names)
    return next((value for value in values if isinstance(value, int)), 0)


def _kv_width(config: Json) -> int:
    """How many numbers a layer caches for a token's key, and as many for its value."""
    heads = _number(config, "num_attention_heads", "n_head")
    width = _number(config, "hidden_size", "n_embd") // max(heads, 1)
    head_width = _number(config, "head_dim") or width
    return head_width * _number(config, "num_key_value_heads", "num_attention_heads", "n_head")


def _gb(mb: float) -> str:
    return f"{mb / 1000:.1f} GB"
