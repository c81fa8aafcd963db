"""A tiny Llama that says exactly what it is given to say, whatever it is asked.

One-hot embeddings, a layer that adds nothing and an `lm_head` that is a table of next tokens:
greedy answers are the same in every engine at fp32, int8 and int4. It is written without torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel

# No other matrix may have as many rows as the vocabulary: ONNX Runtime GenAI's builder (0.18) takes
# any such Linear for the lm_head. Groups of 128 weights divide every width.
VOCABULARY, WIDTH, INNER, HEADS = 480, 512, 256, 8
CONTEXT = 4096
SPECIAL = UNKNOWN, USER, ASSISTANT, END = "<|unk|>", "<|user|>", "<|assistant|>", "<|end|>"
TEMPLATE = f"{{% for m in messages %}}{USER}{{{{ m['content'] }}}}{{% endfor %}}{ASSISTANT}"
BYTES = ByteLevel(add_prefix_space=False, use_regex=False)


def parrot(folder: Path, chunks: Sequence[str], *, loop: bool = False, width: int = WIDTH) -> Path:
    """Write the model as a Hugging Face folder and return that folder.

    chunks: the answer, one token each, no two alike. loop: start over after the last chunk instead
    of ending the answer. width: of the hidden states, at least as much as there are tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(chunks)
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    answer = [vocabulary[_in_bytes(chunk)] for chunk in chunks]
    end = vocabulary[END]
    _write(folder / "config.json", _config(end, width))
    _write(folder / "generation_config.json", {"eos_token_id": end})
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT}
    tokens = {"eos_token": END, "unk_token": UNKNOWN, "chat_template": TEMPLATE}
    _write(folder / "tokenizer_config.json", {**about, **tokens})
    following = dict(zip(answer, [*answer[1:], answer[0] if loop else end], strict=True))
    save_file(_weights(answer[0], following, width), folder / "model.safetensors", {"format": "pt"})
    return folder


def _vocabulary(chunks: Sequence[str]) -> dict[str, int]:
    tokens = [*SPECIAL, *sorted(ByteLevel.alphabet()), *map(_in_bytes, chunks)]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    assert len(set(chunks)) == len(chunks), "each chunk may occur once only"
    assert len(vocabulary) <= VOCABULARY, "too many chunks"
    return vocabulary


def _in_bytes(chunk: str) -> str:
    """The chunk in the alphabet of a byte-level vocabulary."""
    encoded: list[tuple[str, tuple[int, int]]] = BYTES.pre_tokenize_str(chunk)
    return encoded[0][0]


def _tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = BYTES
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _config(end: int, width: int) -> dict[str, object]:
    rope = {"rope_theta": 10_000.0}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "intermediate_size": INNER,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": width // HEADS,
        "max_position_embeddings": CONTEXT,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", **rope},
        **rope,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": None,
    }


def _weights(
    start: int, following: dict[int, int], width: int
) -> dict[str, NDArray[numpy.float32]]:
    """`following`: the token after each of the answer's; after any other token comes `start`."""
    head = numpy.zeros((VOCABULARY, width), numpy.float32)
    for token in range(VOCABULARY):
        head[following.get(token, start), token] = 1.0
    layer = "model.layers.0."
    shapes = {f"self_attn.{name}_proj": (width, width) for name in "qkvo"}
    shapes |= {f"mlp.{name}_proj": (INNER, width) for name in ("gate", "up")}
    shapes["mlp.down_proj"] = (width, INNER)
    norms = ("model.norm", f"{layer}input_layernorm", f"{layer}post_attention_layernorm")
    return {
        "model.embed_tokens.weight": numpy.eye(VOCABULARY, width, dtype=numpy.float32),
        "lm_head.weight": head,
        **{f"{name}.weight": numpy.ones(width, numpy.float32) for name in norms},
        **{
            f"{layer}{name}.weight": numpy.zeros(shape, numpy.float32)
            for name, shape in shapes.items()
        },
    }


def _write(file: Path, value: dict[str, object]) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
