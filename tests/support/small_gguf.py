"""A small GGUF file for the tests: a random Llama with a tokenizer of bytes."""

from __future__ import annotations

from pathlib import Path

import numpy
from gguf import GGUFWriter, TokenType
from tokenizers import pre_tokenizers

WIDTH, INNER, LAYERS, HEADS, CONTEXT = 64, 128, 2, 2, 512
NAMED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write(file: Path, seed: int = 0) -> Path:
    """Writes it with 32-bit weights, some 0.5 MB."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*NAMED, *alphabet, alphabet[0] * 2]
    writer = GGUFWriter(file, "llama")
    writer.add_name("small")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    kinds = [TokenType.CONTROL] * len(NAMED)
    writer.add_token_types(kinds + [TokenType.NORMAL] * (len(tokens) - len(NAMED)))
    writer.add_token_merges([f"{alphabet[0]} {alphabet[0]}"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    random = numpy.random.default_rng(seed)

    def tensor(name: str, *shape: int) -> None:
        values = random.normal(0, 0.05, shape) if len(shape) > 1 else numpy.ones(shape)
        writer.add_tensor(f"{name}.weight", values.astype(numpy.float32))

    tensor("token_embd", len(tokens), WIDTH)
    tensor("output_norm", WIDTH)
    tensor("output", len(tokens), WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{layer}.{name}", WIDTH, WIDTH)
        for name in ("attn_norm", "ffn_norm"):
            tensor(f"blk.{layer}.{name}", WIDTH)
        tensor(f"blk.{layer}.ffn_gate", INNER, WIDTH)
        tensor(f"blk.{layer}.ffn_up", INNER, WIDTH)
        tensor(f"blk.{layer}.ffn_down", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
