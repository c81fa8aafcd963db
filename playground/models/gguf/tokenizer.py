"""The tokenizer that a GGUF file describes, made anew with Hugging Face's `tokenizers`.

Two kinds are known: byte-level BPE ("gpt2", with a named pre-tokenizer) and SentencePiece's BPE
("llama", with scores). Any other one is refused by name: guessed wrong, it would make every engine
babble.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from playground.models.gguf.errors import GgufError
from playground.models.gguf.pre_tokenizers import BY_NAME
from playground.prompt import ENDS

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # gguf.TokenType
_FILLER = re.compile(r"\[PAD\d+\]")  # what converters call the rows that no token has
_NEEDED = {"gpt2": ("tokens", "token_type", "merges"), "llama": ("tokens", "token_type", "scores")}
_NO_RSTRIP = ("<unk>", "<s>", "<|endoftext|>")


class Token(NamedTuple):
    id: int
    text: str
    type: int


def refuse_unknown(meta: Mapping[str, Any]) -> None:
    """Raises GgufError with the names of the tokenizer and its pre-tokenizer."""
    kind, pre = meta.get("tokenizer.ggml.model"), meta.get("tokenizer.ggml.pre")
    title = f"model {kind!r}, pre-tokenizer {pre!r}"
    if kind not in _NEEDED or (kind == "gpt2" and pre not in BY_NAME):
        raise GgufError("unknown-tokenizer", title)
    if missing := [key for key in _NEEDED[kind] if f"tokenizer.ggml.{key}" not in meta]:
        raise GgufError("unknown-tokenizer", f"{title}, without {' and '.join(missing)}")
    tokens = _tokens(meta)
    if len({token.text for token in tokens}) < len(tokens):
        raise GgufError("unknown-tokenizer", f"{title}, with two ids for one token")
    if kind == "llama" and len(tokens) > 2 and len(_scores(meta)) < 2:
        raise GgufError("unknown-tokenizer", f"{title}, with one score for all tokens")


def write(meta: Mapping[str, Any], folder: Path) -> None:
    """tokenizer.json, its config in a class that every transformers knows, and the template."""
    tokenizer = build(meta)
    tokenizer.save(str(folder / "tokenizer.json"))
    text = {token.id: token.text for token in _tokens(meta)}
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    found = named_ids(meta)
    config = {f"{n}_token": text[found[key]] for n, key in names.items() if found.get(key) in text}
    special = [t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special]
    others = [content for content in special if content not in config.values()]
    spaced = {"add_prefix_space": False} if meta["tokenizer.ggml.model"] == "gpt2" else {}
    whole = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **spaced,
        "clean_up_tokenization_spaces": False,
        "model_max_length": meta[f"{meta['general.architecture']}.context_length"],
        "additional_special_tokens": others,
        **config,
    }
    text_config = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text_config, encoding="utf-8")
    if template := meta.get("tokenizer.chat_template"):  # a base model has none
        path = folder / "chat_template.jinja"
        path.write_text(template, encoding="utf-8", newline="\n")


def build(meta: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a file that `refuse_unknown` lets pass."""
    byte_level = meta["tokenizer.ggml.model"] == "gpt2"
    tokenizer = _byte_level(meta) if byte_level else _sentencepiece(meta)
    tokenizer.add_tokens(_added(meta))
    if edges := _edges(meta, tokenizer):
        tokenizer.post_processor = edges
    return tokenizer


def named_ids(meta: Mapping[str, Any]) -> dict[str, int]:
    """`eos`, `bos`, `eot`, `padding` and the like; one outside the vocabulary is left out."""
    ids = {"bos": 1, "eos": 2, "unknown": 0} if meta["tokenizer.ggml.model"] == "llama" else {}
    for name in ("bos", "eos", "eot", "eom", "unknown", "padding"):
        ids[name] = meta.get(f"tokenizer.ggml.{name}_token_id", ids.get(name, -1))
    size = len(meta["tokenizer.ggml.tokens"])
    return {name: id for name, id in ids.items() if 0 <= id < size}


def stop_ids(meta: Mapping[str, Any]) -> list[int]:
    """Whatever ends an answer: the file's end of text first, then ends of turn and message."""
    found = named_ids(meta)
    ids = [found[name] for name in ("eos", "eot", "eom") if name in found]
    known = [t.id for t in _tokens(meta) if t.text in ENDS and t.type != NORMAL]
    return [*dict.fromkeys([*ids, *(id for id in known if id != found.get("unknown"))])]


def _tokens(meta: Mapping[str, Any]) -> list[Token]:
    pairs = zip(meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"], strict=True)
    tokens = (Token(id, text, type) for id, (text, type) in enumerate(pairs))
    return [t for t in tokens if t.type == NORMAL or t.text and not _FILLER.fullmatch(t.text)]


def _scores(meta: Mapping[str, Any]) -> set[float]:
    normal = (token.id for token in _tokens(meta) if token.type == NORMAL)
    return {meta["tokenizer.ggml.scores"][id] for id in normal}


def _byte_level(meta: Mapping[str, Any]) -> Tokenizer:
    family = BY_NAME[meta["tokenizer.ggml.pre"]]
    merges = [tuple(merge.split(" ", 1)) for merge in meta["tokenizer.ggml.merges"]]
    vocabulary = {token.text: token.id for token in _tokens(meta)}
    model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=family.ignore_merges)
    tokenizer = Tokenizer(model)
    if family.nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = family.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(meta: Mapping[str, Any]) -> Tokenizer:
    """Merges come from the scores, as in transformers' conversions of SentencePiece models."""
    from transformers.convert_slow_tokenizer import generate_merges

    tokens, scores = _tokens(meta), meta["tokenizer.ggml.scores"]
    vocabulary = {token.text: token.id for token in tokens}
    pieces = [token for token in tokens if token.type in (NORMAL, UNUSED)]
    merges = generate_merges(
        {token.text: token.id for token in pieces},
        [(token.text, scores[token.id]) for token in pieces],
    )
    unknown = {token.id: token.text for token in tokens}.get(named_ids(meta).get("unknown", -1))
    byte_fallback = any(token.type == BYTE for token in tokens)
    model = models.BPE(
        vocab=vocabulary,
        merges=merges,
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=byte_fallback,
    )
    tokenizer = Tokenizer(model)
    spaced = meta.get("tokenizer.ggml.add_space_prefix", True)
    before = [normalizers.Prepend("▁")] if spaced else []
    tokenizer.normalizer = normalizers.Sequence([*before, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if spaced else []
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _added(meta: Mapping[str, Any]) -> list[AddedToken]:
    """Tokens that are found in a text before anything else is done to it."""
    found = named_ids(meta)
    ends = {found[name] for name in ("eos", "eot", "eom") if name in found}
    # llama.cpp (the end of `llama_vocab::impl::load`) has this rule, since no GGUF file tells
    phi3 = (meta["general.architecture"], meta["tokenizer.ggml.model"]) == ("phi3", "llama")
    added = []
    for token in _tokens(meta):
        special = token.type in (CONTROL, UNKNOWN) or token.id in ends
        if special or token.type == USER_DEFINED:
            rstrip = phi3 and token.text not in _NO_RSTRIP
            added.append(AddedToken(token.text, special=special, normalized=False, rstrip=rstrip))
    return added


def _edges(meta: Mapping[str, Any], tokenizer: Tokenizer) -> processors.PostProcessor | None:
    """What a plain text gets before and after it; a chat template writes that itself."""
    spm = meta["tokenizer.ggml.model"] == "llama"
    before = spm or BY_NAME[meta["tokenizer.ggml.pre"]].add_bos
    wanted = {"bos": meta.get("tokenizer.ggml.add_bos_token", before)}
    wanted["eos"] = meta.get("tokenizer.ggml.add_eos_token", False)
    ids = {name: id for name, id in named_ids(meta).items() if wanted.get(name)}
    if not ids:
        return None
    text = {name: tokenizer.id_to_token(id) for name, id in ids.items()}
    single = [*([text["bos"]] if "bos" in text else []), "$A"]
    single += [text["eos"]] if "eos" in text else []
    return processors.TemplateProcessing(
        single=single, special_tokens=[(text[name], id) for name, id in ids.items()]
    )
