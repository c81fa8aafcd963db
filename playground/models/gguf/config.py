"""The configuration that a GGUF file describes, for transformers.

transformers 5.5.4 (modeling_gguf_pytorch_utils.py) reads the sizes and leaves out the rest: scaled
and partial rotary embeddings, soft caps, windows, some widths. Here they are put in, as llama.cpp
applies them (src/models/*.cpp and conversion/*.py of llama-cpp-python 0.3.36). What a file says and
nobody here understands raises GgufError with its name: a model that computes something
else than its maker meant must not be made in silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from playground.models.gguf.errors import GgufError

# Decoders that transformers reads, and what it leaves out: key in the file → field for transformers
FIELDS: dict[str, dict[str, str]] = {
    "llama": {"attention.key_length": "head_dim"},
    "qwen2": {},
    "qwen2moe": {
        "expert_feed_forward_length": "moe_intermediate_size",
        "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    },
    "qwen3": {"attention.key_length": "head_dim"},
    "qwen3moe": {"expert_feed_forward_length": "moe_intermediate_size"},
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
    "gpt2": {"context_length": "n_positions", "feed_forward_length": "n_inner"},
    "starcoder2": {"rope.freq_base": "rope_theta"},
    "stablelm": {"rope.freq_base": "rope_theta"},
    "nemotron": {
        "attention.layer_norm_epsilon": "norm_eps",
        "attention.key_length": "head_dim",
    },
    "falcon": {
        "attention.layer_norm_epsilon": "layer_norm_epsilon",
        "feed_forward_length": "ffn_hidden_size",
    },
    "bloom": {"context_length": "seq_length"},
    "lfm2": {"attention.layer_norm_rms_epsilon": "norm_eps"},
    "mamba": {},
    "minimax-m2": {"expert_feed_forward_length": "intermediate_size"},
}
ROPE_TENSORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
_PARTLY_ROTARY = ("phi3", "stablelm", "nemotron", "minimax-m2")
_BIASES = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}
_ELSEWHERE = {  # looked at below, or without influence on what is computed
    *("attention.causal", "attention.head_count", "attention.head_count_kv"),
    *("attention.key_length", "attention.value_length", "attention.layer_norm_epsilon"),
    *("attention.layer_norm_rms_epsilon", "block_count", "context_length", "embedding_length"),
    *("feed_forward_length", "rope.dimension_count", "rope.freq_base", "rope.scale_linear"),
    *("rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length"),
    *("rope.scaling.attn_factor", "rope.scaling.finetuned", "rope.scaling.yarn_beta_fast"),
    *("rope.scaling.yarn_beta_slow", "tensor_data_layout", "use_parallel_residual", "vocab_size"),
}


def refuse_unknown(meta: Mapping[str, Any]) -> None:
    """Raises GgufError with the name of the architecture."""
    architecture = meta.get("general.architecture")
    if architecture not in FIELDS:
        known = ", ".join(sorted(FIELDS))
        raise GgufError("unknown-architecture", f"{architecture!r}; supported: {known}")


def not_understood(what: str) -> GgufError:
    """The error for a model that cannot be converted as its maker meant it."""
    return GgufError("unsupported", what)


class Described:
    """A file's metadata without the architecture's prefix."""

    def __init__(self, meta: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
        self.architecture = str(meta["general.architecture"])
        prefix = f"{self.architecture}."
        self.values = {k[len(prefix) :]: v for k, v in meta.items() if k.startswith(prefix)}
        self.tensors = tensors  # name → numpy array
        self.width = self.values["embedding_length"]
        self.heads = self.values.get("attention.head_count") or 1  # Mamba says 0
        self.head_width = self.values.get("attention.key_length", self.width // self.heads)

    def complete(self, read: Mapping[str, Any], mapped: Iterable[str]) -> dict[str, Any]:
        """`read` by transformers with its `mapped` keys, and the rest; raises GgufError."""
        if "token_embd.weight" not in self.tensors:
            raise not_understood("a file without the weights of a language model")
        self._refuse_leftovers(mapped)
        config = {**dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")), **read}
        fields = FIELDS[self.architecture]
        config |= {field: self.values[key] for key, field in fields.items() if key in self.values}
        config["vocab_size"] = len(self.tensors["token_embd.weight"])
        if self.architecture == "llama":
            config["model_type"] = "llama"  # transformers makes some of them "mistral", the same
            config |= {field: True for field, bias in _BIASES.items() if bias in self.tensors}
        if "num_attention_heads" in config:  # llama.cpp's default; without it nothing is permuted
            config.setdefault("num_key_value_heads", self.heads)
        if self.architecture in ("gemma2", "gemma3"):
            largest = self.values["block_count"] == {"gemma2": 46, "gemma3": 62}[self.architecture]
            scalar = self.width // self.heads if largest else self.head_width
            config["query_pre_attn_scalar"] = scalar
        if self.architecture == "phi3":  # zero: none, as llama.cpp's converter writes it
            config["sliding_window"] = config.get("sliding_window") or None
        if self.architecture == "mamba":
            config["expand"] = self.values["ssm.inner_size"] // self.width
        return config | self._rope(config)

    def _refuse_leftovers(self, mapped: Iterable[str]) -> None:
        known = {*mapped, *FIELDS[self.architecture]} | _ELSEWHERE
        for key, value in self.values.items():
            if key not in known and value:
                raise not_understood(f"{self.architecture}.{key} = {value!r:.60}")
        if not self.values.get("attention.causal", True):
            raise not_understood("a model that is no decoder")
        if self.values.get("attention.value_length", self.head_width) != self.head_width:
            raise not_understood("values of another width than keys")
        if self.architecture == "falcon" and self.values.get("attention.head_count_kv", 1) != 1:
            raise not_understood("a Falcon with more than one head of keys and values")

    def _rope(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of the rotary embeddings: `rope_theta`, `rope_scaling` and what belongs to it."""
        rotated = self.values.get("rope.dimension_count", self.head_width)
        fields: dict[str, Any] = {}
        if self.architecture in _PARTLY_ROTARY:
            fields["partial_rotary_factor"] = rotated / self.head_width
        elif rotated != self.head_width and self.architecture not in ("gpt2", "bloom", "mamba"):
            raise not_understood(f"{self.architecture}.rope.dimension_count = {rotated}")
        if "rope.freq_base" in self.values:
            fields["rope_theta"] = self.values["rope.freq_base"]
        if scaling := self._scaling(rotated):
            fields["rope_scaling"] = scaling
        if self.architecture == "phi3":
            default = config["max_position_embeddings"]
            trained = self.values.get("rope.scaling.original_context_length", default)
            fields["original_max_position_embeddings"] = trained
        return fields

    def _scaling(self, rotated: int) -> dict[str, Any] | None:
        kind = self.values.get("rope.scaling.type", "none")
        factor = self.values.get("rope.scaling.factor", self.values.get("rope.scale_linear", 0.0))
        if "rope.scale_linear" in self.values and kind == "none":
            kind = "linear"  # its name before there were types
        freqs, long, short = (self.tensors.get(name) for name in ROPE_TENSORS)
        if long is not None or short is not None:
            return self._longrope(long, short)
        if freqs is not None and kind == "none":
            return self._llama3(freqs, rotated)
        attention = self.values.get("rope.scaling.attn_factor", 1.0)
        if freqs is not None or kind not in ("none", "linear", "yarn") or attention != 1.0:
            raise not_understood(f"rotary embeddings of the type {kind!r}")
        if kind == "none" or factor in (0.0, 1.0):
            return None
        if kind == "linear":
            return {"rope_type": "linear", "factor": float(factor)}
        trained = self.values["rope.scaling.original_context_length"]
        betas = {
            name: self.values[f"rope.scaling.yarn_{name}"]
            for name in ("beta_fast", "beta_slow")
            if f"rope.scaling.yarn_{name}" in self.values
        }
        return {
            "rope_type": "yarn",
            "factor": float(factor),
            "original_max_position_embeddings": trained,
            **betas,
        }

    def _longrope(self, long: Any, short: Any) -> dict[str, Any]:
        """Phi-3's; transformers computes the same attention factor from the two lengths."""
        trained = self.values.get("rope.scaling.original_context_length")
        if self.architecture != "phi3" or long is None or short is None or not trained:
            raise not_understood("rotary embeddings of the type 'longrope'")
        scale = self.values["context_length"] / trained
        usual = math.sqrt(1 + math.log(scale) / math.log(trained)) if scale > 1 else 1.0
        told = self.values.get("rope.scaling.attn_factor", usual)
        if not math.isclose(told, usual, rel_tol=1e-4):
            raise not_understood(f"phi3.rope.scaling.attn_factor = {told}")
        return {
            "type": "longrope",
            "short_factor": _decimals(short),
            "long_factor": _decimals(long),
        }

    def _llama3(self, freqs: Any, rotated: int) -> dict[str, Any]:
        """Llama 3.1 and 3.2 keep only what came out of their formula: found again by trying."""
        base = self.values.get("rope.freq_base", 10000.0)
        for factor in (8.0, 32.0):
            scaling = {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            }
            wanted = _llama3_factors(base, rotated, factor)
            close = (math.isclose(a, b, rel_tol=1e-4) for a, b in zip(wanted, freqs, strict=False))
            if len(wanted) == len(freqs) and all(close):
                return scaling
        raise not_understood("the tensor rope_freqs.weight")


def _llama3_factors(base: float, rotated: int, factor: float) -> list[float]:
    """What each frequency is divided by (llama.cpp, conversion/llama.py)."""
    factors = []
    for i in range(0, rotated, 2):
        waves = 8192 / (2 * math.pi * base ** (i / rotated))
        smooth = (waves - 1.0) / (4.0 - 1.0)
        between = 1 / ((1 - smooth) / factor + smooth)
        factors.append(1.0 if waves > 4 else factor if waves < 1 else between)
    return factors


def _decimals(numbers: Any) -> list[float]:
    """32-bit floats as they were written before: 1.08, not 1.0800000429153442."""
    return [float(str(number)) for number in numbers]
