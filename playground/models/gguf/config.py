"""The Hugging Face configuration of the model in a GGUF file.

transformers 5.5.4 (modeling_gguf_pytorch_utils.py) reads the sizes and leaves out the rest: scaled
and partial rotary embeddings, soft caps, windows, some widths. This module adds them as llama.cpp
applies them (src/models/*.cpp and conversion/*.py of llama-cpp-python 0.3.36). Whatever else a file
sets raises GgufError: a model that computes something other than its maker intended must not be
converted silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from playground.models.gguf.errors import Code, GgufError

Metadata: TypeAlias = Mapping[str, Any]  # the key-value pairs of a GGUF file
Config: TypeAlias = dict[str, Any]  # the fields of config.json

# The architectures that can be converted, and what transformers leaves out of each: key in the
# file → field of the configuration. Mistral's, SmolLM's and TinyLlama's files say "llama", too.
FIELDS: dict[str, dict[str, str]] = {
    "llama": {"attention.key_length": "head_dim"},
    "qwen2": {},
    "qwen3": {"attention.key_length": "head_dim"},
    "phi3": {"attention.sliding_window": "sliding_window"},
    "gemma2": {
        "attn_logit_softcapping": "attn_logit_softcapping",
        "final_logit_softcapping": "final_logit_softcapping",
    },
    "gemma3": {
        "final_logit_softcapping": "final_logit_softcapping",
        "attention.sliding_window_pattern": "sliding_window_pattern",
        "rope.freq_base_swa": "rope_local_base_freq",
    },
}
ROPE_TENSORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
_LARGEST_GEMMA = {"gemma2": 46, "gemma3": 62}  # layers; it scales its queries differently
_BIASES = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}
_NO_FIELD = {  # read by the code below, or without effect on what the model computes
    *("attention.causal", "attention.head_count", "attention.head_count_kv"),
    *("attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon"),
    *("block_count", "context_length", "embedding_length", "feed_forward_length"),
    *("rope.dimension_count", "rope.freq_base", "rope.scale_linear"),
    *("rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length"),
    *("rope.scaling.attn_factor", "rope.scaling.finetuned", "rope.scaling.yarn_beta_fast"),
    *("rope.scaling.yarn_beta_slow", "tensor_data_layout", "vocab_size"),
}


def check_architecture(metadata: Metadata) -> None:
    """Raise GgufError with the architecture's name where it is not supported."""
    architecture = metadata.get("general.architecture")
    if architecture not in FIELDS:
        supported = ", ".join(sorted(FIELDS))
        raise GgufError(Code.UNKNOWN_ARCHITECTURE, f"{architecture!r}; supported: {supported}")


def unsupported(what: str) -> GgufError:
    """The error for a model that cannot be converted as its maker intended it."""
    return GgufError(Code.UNSUPPORTED, what)


class GgufModel:
    """A file's metadata, with keys without the architecture's prefix, and its tensors by name."""

    def __init__(self, metadata: Metadata, tensors: Mapping[str, Any]) -> None:
        self.architecture = str(metadata["general.architecture"])
        prefix = f"{self.architecture}."
        self.values = {k[len(prefix) :]: v for k, v in metadata.items() if k.startswith(prefix)}
        self.tensors = tensors  # numpy arrays
        self.width = self.values["embedding_length"]
        self.heads = self.values["attention.head_count"]
        self.head_width = self.values.get("attention.key_length", self.width // self.heads)

    def config(self, partial: Config, mapped: Iterable[str]) -> Config:
        """The whole configuration. Raises GgufError.

        partial: what transformers makes of the file; mapped: the keys that it reads for that.
        """
        if "token_embd.weight" not in self.tensors:
            raise unsupported("a file without the weights of a language model")
        self._check_keys(mapped)
        config = {**dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")), **partial}
        fields = FIELDS[self.architecture]
        config |= {field: self.values[key] for key, field in fields.items() if key in self.values}
        config["vocab_size"] = len(self.tensors["token_embd.weight"])
        config.setdefault("num_key_value_heads", self.heads)  # without it nothing is permuted
        if self.architecture == "llama":
            config["model_type"] = "llama"  # transformers makes some of them "mistral", the same
            config |= {field: True for field, bias in _BIASES.items() if bias in self.tensors}
        if layers := _LARGEST_GEMMA.get(self.architecture):
            is_largest = self.values["block_count"] == layers
            scalar = self.width // self.heads if is_largest else self.head_width
            config["query_pre_attn_scalar"] = scalar
        if self.architecture == "phi3":  # llama.cpp's converter writes 0 for "no window"
            config["sliding_window"] = config.get("sliding_window") or None
        return config | self._rope(config)

    def _check_keys(self, mapped: Iterable[str]) -> None:
        supported = {*mapped, *FIELDS[self.architecture]} | _NO_FIELD
        for key, value in self.values.items():
            if key not in supported and value:
                raise unsupported(f"{self.architecture}.{key} = {value!r:.60}")
        if not self.values.get("attention.causal", True):
            raise unsupported("a model that is no decoder")
        if self.values.get("attention.value_length", self.head_width) != self.head_width:
            raise unsupported("values of another width than keys")

    def _rope(self, config: Config) -> Config:
        """The fields of the rotary embeddings: `rope_theta`, `rope_scaling` and related ones."""
        rotated = self.values.get("rope.dimension_count", self.head_width)
        fields: Config = {}
        if self.architecture == "phi3":
            fields["partial_rotary_factor"] = rotated / self.head_width
            default = config["max_position_embeddings"]
            trained = self.values.get("rope.scaling.original_context_length", default)
            fields["original_max_position_embeddings"] = trained
        elif rotated != self.head_width:
            raise unsupported(f"{self.architecture}.rope.dimension_count = {rotated}")
        if "rope.freq_base" in self.values:
            fields["rope_theta"] = self.values["rope.freq_base"]
        if scaling := self._scaling(rotated):
            fields["rope_scaling"] = scaling
        return fields

    def _scaling(self, rotated: int) -> Config | None:
        kind = self.values.get("rope.scaling.type", "none")
        factor = self.values.get("rope.scaling.factor", self.values.get("rope.scale_linear", 0.0))
        if "rope.scale_linear" in self.values and kind == "none":
            kind = "linear"  # files written before there were types
        divisors, long, short = (self.tensors.get(name) for name in ROPE_TENSORS)
        if long is not None or short is not None:
            return self._longrope(long, short)
        if divisors is not None and kind == "none":
            return self._llama3(divisors, rotated)
        attention = self.values.get("rope.scaling.attn_factor", 1.0)
        if divisors is not None or kind not in ("none", "linear", "yarn") or attention != 1.0:
            raise unsupported(f"rotary embeddings of the type {kind!r}")
        if kind == "none" or factor in (0.0, 1.0):
            return None
        if kind == "linear":
            return {"rope_type": "linear", "factor": float(factor)}
        betas = {
            name: self.values[f"rope.scaling.yarn_{name}"]
            for name in ("beta_fast", "beta_slow")
            if f"rope.scaling.yarn_{name}" in self.values
        }
        return {
            "rope_type": "yarn",
            "factor": float(factor),
            "original_max_position_embeddings": self.values["rope.scaling.original_context_length"],
            **betas,
        }

    def _longrope(self, long: Sequence[float] | None, short: Sequence[float] | None) -> Config:
        """Phi-3's; transformers computes the attention factor from the two context lengths."""
        trained = self.values.get("rope.scaling.original_context_length")
        if self.architecture != "phi3" or long is None or short is None or not trained:
            raise unsupported("rotary embeddings of the type 'longrope'")
        scale = self.values["context_length"] / trained
        computed = math.sqrt(1 + math.log(scale) / math.log(trained)) if scale > 1 else 1.0
        attention = self.values.get("rope.scaling.attn_factor", computed)
        if not math.isclose(attention, computed, rel_tol=1e-4):
            raise unsupported(f"phi3.rope.scaling.attn_factor = {attention}")
        return {
            "type": "longrope",
            "short_factor": _decimals(short),
            "long_factor": _decimals(long),
        }

    def _llama3(self, divisors: Sequence[float], rotated: int) -> Config:
        """Files of Llama 3.1 and 3.2 hold only the result of their formula: try its parameters."""
        base = self.values.get("rope.freq_base", 10000.0)
        for factor in (8.0, 32.0):
            computed = _llama3_divisors(base, rotated, factor)
            pairs = zip(computed, divisors, strict=False)
            if len(computed) == len(divisors) and all(
                math.isclose(a, b, rel_tol=1e-4) for a, b in pairs
            ):
                return {
                    "rope_type": "llama3",
                    "factor": factor,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                }
        raise unsupported("the tensor rope_freqs.weight")


def _llama3_divisors(base: float, rotated: int, factor: float) -> list[float]:
    """What Llama 3 divides each frequency by (llama.cpp, conversion/llama.py)."""
    divisors = []
    for i in range(0, rotated, 2):
        waves = 8192 / (2 * math.pi * base ** (i / rotated))
        smooth = (waves - 1.0) / (4.0 - 1.0)
        between = 1 / ((1 - smooth) / factor + smooth)
        divisors.append(1.0 if waves > 4 else factor if waves < 1 else between)
    return divisors


def _decimals(numbers: Sequence[float]) -> list[float]:
    """32-bit floats as they were originally written: 1.08, not 1.0800000429153442."""
    return [float(str(number)) for number in numbers]
