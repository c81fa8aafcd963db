"""Child process: one GGUF file becomes a Hugging Face folder with exact float32 weights.

transformers reads the weights; its tokenizer made from GGUF is broken once saved (transformers
5.5: wrong class, spaces become `<|endoftext|>`), so the tokenizer is built here from the file's
own metadata. Usage: python -m playground.models.from_gguf FILE FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KNOWN_PRE_TOKENIZERS = ("smollm",)
CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL


def metadata(gguf_file: Path) -> dict[str, Any]:
    """The file's key-value pairs, without its tensors."""
    from gguf import GGUFReader

    return {name: field.contents() for name, field in GGUFReader(gguf_file).fields.items()}


def refuse_unknown(meta: dict[str, Any]) -> None:
    """A tokenizer guessed wrong would make every engine babble: say so by name instead."""
    kind, pre = meta.get("tokenizer.ggml.model"), meta.get("tokenizer.ggml.pre")
    if kind != "gpt2" or pre not in KNOWN_PRE_TOKENIZERS:
        raise SystemExit(
            f"Unknown tokenizer in the GGUF file: model {kind!r}, pre-tokenizer {pre!r}; "
            f"known: model 'gpt2' with {', '.join(KNOWN_PRE_TOKENIZERS)}."
        )


def save_weights(gguf_file: Path, folder: Path) -> None:
    """Weights and config; float32, since a dequantised Q4_1 value fits neither bf16 nor fp16."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32
    )
    model.save_pretrained(folder)


def save_tokenizer(meta: dict[str, Any], folder: Path) -> None:
    """Byte-level BPE as the metadata describes it, in a class that every transformers knows."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in meta["tokenizer.ggml.merges"]]
    vocabulary = {token: id for id, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(tokens, meta["tokenizer.ggml.token_type"], strict=True)
    special = [token for token, kind in kinds if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.save(str(folder / "tokenizer.json"))

    named = {
        "bos_token": "tokenizer.ggml.bos_token_id",
        "eos_token": "tokenizer.ggml.eos_token_id",
        "unk_token": "tokenizer.ggml.unknown_token_id",
        "pad_token": "tokenizer.ggml.padding_token_id",
    }
    config = {name: tokens[meta[key]] for name, key in named.items() if key in meta}
    others = [token for token in special if token not in config.values()]
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": meta[f"{meta['general.architecture']}.context_length"],
            "additional_special_tokens": others,
            **config,
        },
    )
    template = meta["tokenizer.chat_template"]
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8", newline="\n")


def finish_configs(meta: dict[str, Any], folder: Path) -> None:
    """Token ids from the file, the rope base where both old and new transformers look for it."""
    keys = {"bos": "bos", "eos": "eos", "pad": "padding"}
    ids = {
        f"{name}_token_id": meta[f"tokenizer.ggml.{key}_token_id"]
        for name, key in keys.items()
        if f"tokenizer.ggml.{key}_token_id" in meta
    }
    base = meta[f"{meta['general.architecture']}.rope.freq_base"]
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    rope = {"rope_type": "default", **(config.get("rope_parameters") or {}), "rope_theta": base}
    write_json(path, {**config, **ids, "rope_parameters": rope, "rope_theta": base})
    # No sampling defaults: a model's own must not make one engine's greedy answer differ.
    write_json(folder / "generation_config.json", ids)


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    gguf_file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    meta = metadata(gguf_file)
    refuse_unknown(meta)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(gguf_file, folder)
    save_tokenizer(meta, folder)
    finish_configs(meta, folder)


if __name__ == "__main__":
    main()
