"""GGUF files for the tests, written as llama.cpp's converter writes them (its conversion/*.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy
from gguf import MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter, get_tensor_name_map, quantize
from tokenizers import Tokenizer
from transformers import PreTrainedConfig, PreTrainedModel

from playground.models.gguf.config import Config, Metadata

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
Vocabulary = Callable[[GGUFWriter], None]


def byte_level(tokenizer: Tokenizer, pre: str | None, size: int, **ids: int) -> Vocabulary:
    """Writes a byte-level BPE tokenizer, filled up to `size`; ids: eos=2 and the like."""
    added = tokenizer.get_added_tokens_decoder()
    kinds = {number: CONTROL if token.special else USER_DEFINED for number, token in added.items()}
    names = [tokenizer.id_to_token(number) for number in range(size)]
    merges = [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]

    def write(writer: GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        if pre:
            writer.add_tokenizer_pre(pre)
        writer.add_token_list([name or f"[PAD{number}]" for number, name in enumerate(names)])
        there = (NORMAL if name else UNUSED for name in names)
        writer.add_token_types([kinds.get(number, kind) for number, kind in enumerate(there)])
        writer.add_token_merges(merges)
        for name, number in ids.items():
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", number)

    return write


def sentencepiece(pieces: Sequence[tuple[str, float, int]], **more: bool | int) -> Vocabulary:
    """Writes pieces with score and type; more: add_space_prefix=False, eos=2 and the like."""

    def write(writer: GGUFWriter) -> None:
        texts, scores, kinds = zip(*pieces, strict=True)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(texts)
        writer.add_token_scores(scores)
        writer.add_token_types(kinds)
        for name, value in more.items():
            if isinstance(value, bool):
                writer.add_bool(f"tokenizer.ggml.{name}", value)
            else:
                writer.add_uint32(f"tokenizer.ggml.{name}_token_id", value)

    return write


def write(
    file: Path,
    architecture: str,
    vocabulary: Vocabulary,
    values: Metadata,
    tensors: Mapping[str, numpy.ndarray] | None = None,
    template: str = "",
    quantised: GGMLQuantizationType = GGMLQuantizationType.F32,
) -> Path:
    """values: the architecture's are without its prefix; only matrices are quantised."""
    writer = GGUFWriter(file, architecture)
    adders = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    for key, value in values.items():
        name = key if key.startswith(("tokenizer.", "split.")) else f"{architecture}.{key}"
        adders.get(type(value), writer.add_string)(name, value)
    vocabulary(writer)
    if template:
        writer.add_chat_template(template)
    for name, tensor in (tensors or {}).items():
        kind = quantised if tensor.ndim > 1 else GGMLQuantizationType.F32
        writer.add_tensor(name, quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def sizes(config: PreTrainedConfig) -> Config:
    """What every decoder with rotary embeddings says of itself."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    return {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "attention.key_length": width,
        "attention.value_length": width,
        "rope.dimension_count": int(width * rope.get("partial_rotary_factor", 1)),
        "rope.freq_base": float(rope.get("full_attention", rope)["rope_theta"]),
    }


def tensors(model: PreTrainedModel, architecture: str) -> dict[str, numpy.ndarray]:
    """The model's weights under llama.cpp's names and in its layout."""
    config = model.config
    number = next(n for n, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(number, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    tensors_by_name = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, suffix = name.rsplit(".", 1)
        array = value.numpy().copy()
        if architecture == "llama" and (count := heads.get(stem.rsplit(".", 1)[-1])):
            halves = array.reshape(count, 2, array.shape[0] // count // 2, *array.shape[1:])
            array = halves.swapaxes(1, 2).reshape(array.shape)
        if architecture.startswith("gemma") and stem.endswith("norm"):
            array += 1
        tensors_by_name[f"{names.get_name(stem)}.{suffix}"] = numpy.ascontiguousarray(array)
    return tensors_by_name
