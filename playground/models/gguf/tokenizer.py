"""The tokenizer described by a GGUF file, rebuilt with Hugging Face's `tokenizers`.

Two kinds are supported: byte-level BPE ("gpt2", with a named pre-tokenizer) and SentencePiece's BPE
("llama", with scores). Any other is refused by name: a wrong guess would make every engine babble.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from playground.models.gguf.config import Metadata
from playground.models.gguf.errors import Code, GgufError
from playground.models.gguf.pre_tokenizers import FAMILIES
from playground.prompt import TURN_ENDS

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # gguf.TokenType
_FILLER = re.compile(r"\[PAD\d+\]")  # how converters name rows without a token
_REQUIRED = {
    "gpt2": ("tokens", "token_type", "merges"),
    "llama": ("tokens", "token_type", "scores"),
}
_NO_RSTRIP = ("<unk>", "<s>", "<|endoftext|>")


class Token(NamedTuple):
    """An entry of the vocabulary; `kind` is one of gguf.TokenType."""

    id: int
    text: str
    kind: int


def check_supported(metadata: Metadata) -> None:
    """Raise GgufError with the names of a tokenizer and pre-tokenizer that are not supported."""
    model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    title = f"model {model!r}, pre-tokenizer {pre!r}"
    if model not in _REQUIRED or (model == "gpt2" and pre not in FAMILIES):
        raise GgufError(Code.UNKNOWN_TOKENIZER, title)
    missing = [key for key in _REQUIRED[model] if f"tokenizer.ggml.{key}" not in metadata]
    if missing:
        raise GgufError(Code.UNKNOWN_TOKENIZER, f"{title}, without {' and '.join(missing)}")
    tokens = _tokens(metadata)
    if len({token.text for token in tokens}) < len(tokens):
        raise GgufError(Code.UNKNOWN_TOKENIZER, f"{title}, with two ids for one token")
    if model == "llama" and len(tokens) > 2:
        scores = metadata["tokenizer.ggml.scores"]
        if len({scores[token.id] for token in tokens if token.kind == NORMAL}) < 2:
            raise GgufError(Code.UNKNOWN_TOKENIZER, f"{title}, with one score for all tokens")


def write(metadata: Metadata, folder: Path) -> None:
    """Write tokenizer.json, its config in a class that every transformers has, and the template."""
    tokenizer = build(metadata)
    tokenizer.save(str(folder / "tokenizer.json"))
    text = {token.id: token.text for token in _tokens(metadata)}
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    ids = named_ids(metadata)
    named = {f"{n}_token": text[ids[key]] for n, key in names.items() if ids.get(key) in text}
    special = [t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special]
    spaced = {"add_prefix_space": False} if metadata["tokenizer.ggml.model"] == "gpt2" else {}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **spaced,
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata[f"{metadata['general.architecture']}.context_length"],
        "additional_special_tokens": [t for t in special if t not in named.values()],
        **named,
    }
    config_text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(config_text, encoding="utf-8")
    if template := metadata.get("tokenizer.chat_template"):  # a base model has none
        path = folder / "chat_template.jinja"
        path.write_text(template, encoding="utf-8", newline="\n")


def build(metadata: Metadata) -> Tokenizer:
    """The tokenizer of a file that `check_supported` accepts."""
    byte_level = metadata["tokenizer.ggml.model"] == "gpt2"
    tokenizer = _byte_level(metadata) if byte_level else _sentencepiece(metadata)
    tokenizer.add_tokens(_added_tokens(metadata))
    if post_processor := _post_processor(metadata, tokenizer):
        tokenizer.post_processor = post_processor
    return tokenizer


def named_ids(metadata: Metadata) -> dict[str, int]:
    """The ids of `eos`, `bos`, `eot`, `padding` and so on that are in the vocabulary."""
    sentencepiece = metadata["tokenizer.ggml.model"] == "llama"
    ids = {"bos": 1, "eos": 2, "unknown": 0} if sentencepiece else {}
    for name in ("bos", "eos", "eot", "eom", "unknown", "padding"):
        ids[name] = metadata.get(f"tokenizer.ggml.{name}_token_id", ids.get(name, -1))
    size = len(metadata["tokenizer.ggml.tokens"])
    return {name: token_id for name, token_id in ids.items() if 0 <= token_id < size}


def stop_ids(metadata: Metadata) -> list[int]:
    """The ids that end an answer: end of text first, then ends of turn and message."""
    named = named_ids(metadata)
    ids = [named[name] for name in ("eos", "eot", "eom") if name in named]
    for token in _tokens(metadata):
        is_end = token.text in TURN_ENDS and token.kind != NORMAL
        if is_end and token.id != named.get("unknown"):
            ids.append(token.id)
    return list(dict.fromkeys(ids))


def _tokens(metadata: Metadata) -> list[Token]:
    entries = zip(
        metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"], strict=True
    )
    tokens = (Token(number, text, kind) for number, (text, kind) in enumerate(entries))
    return [t for t in tokens if t.kind == NORMAL or t.text and not _FILLER.fullmatch(t.text)]


def _byte_level(metadata: Metadata) -> Tokenizer:
    family = FAMILIES[metadata["tokenizer.ggml.pre"]]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {token.text: token.id for token in _tokens(metadata)}
    model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=family.ignore_merges)
    tokenizer = Tokenizer(model)
    if family.nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = family.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(metadata: Metadata) -> Tokenizer:
    """Merges come from the scores, as in transformers' conversions of SentencePiece models."""
    from transformers.convert_slow_tokenizer import generate_merges

    tokens, scores = _tokens(metadata), metadata["tokenizer.ggml.scores"]
    vocabulary = {token.text: token.id for token in tokens}
    pieces = [token for token in tokens if token.kind in (NORMAL, UNUSED)]
    merges = generate_merges(
        {token.text: token.id for token in pieces},
        [(token.text, scores[token.id]) for token in pieces],
    )
    unknown = {token.id: token.text for token in tokens}.get(named_ids(metadata).get("unknown", -1))
    byte_fallback = any(token.kind == BYTE for token in tokens)
    model = models.BPE(
        vocab=vocabulary,
        merges=merges,
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=byte_fallback,
    )
    tokenizer = Tokenizer(model)
    spaced = metadata.get("tokenizer.ggml.add_space_prefix", True)
    before = [normalizers.Prepend("▁")] if spaced else []
    tokenizer.normalizer = normalizers.Sequence([*before, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if spaced else []
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _added_tokens(metadata: Metadata) -> list[AddedToken]:
    """Tokens that are recognised in a text before it is normalised and split."""
    named = named_ids(metadata)
    ends = {named[name] for name in ("eos", "eot", "eom") if name in named}
    # A rule of llama.cpp (the end of `llama_vocab::impl::load`), which no GGUF file mentions
    phi3 = (metadata["general.architecture"], metadata["tokenizer.ggml.model"]) == ("phi3", "llama")
    added = []
    for token in _tokens(metadata):
        special = token.kind in (CONTROL, UNKNOWN) or token.id in ends
        if special or token.kind == USER_DEFINED:
            rstrip = phi3 and token.text not in _NO_RSTRIP
            added.append(AddedToken(token.text, special=special, normalized=False, rstrip=rstrip))
    return added


def _post_processor(metadata: Metadata, tokenizer: Tokenizer) -> processors.PostProcessor | None:
    """Adds BOS and EOS to plain text; a chat template writes them itself."""
    sentencepiece = metadata["tokenizer.ggml.model"] == "llama"
    add_bos = sentencepiece or FAMILIES[metadata["tokenizer.ggml.pre"]].add_bos
    adds = {
        "bos": metadata.get("tokenizer.ggml.add_bos_token", add_bos),
        "eos": metadata.get("tokenizer.ggml.add_eos_token", False),
    }
    ids = {name: token_id for name, token_id in named_ids(metadata).items() if adds.get(name)}
    if not ids:
        return None
    text = {name: tokenizer.id_to_token(token_id) for name, token_id in ids.items()}
    parts = [text.get("bos"), "$A", text.get("eos")]
    return processors.TemplateProcessing(
        single=[part for part in parts if part],
        special_tokens=[(text[name], token_id) for name, token_id in ids.items()],
    )
