r"""The pre-tokenizers that GGUF files name, built with Hugging Face's `tokenizers`.

A GGUF file names its pre-tokenizer but does not contain it. Names and regexes are those of
llama.cpp, src/llama-vocab.cpp (github.com/ggml-org/llama.cpp, commit 00ad355e009e). Where llama.cpp
rewrites a regex for its own engine, this file has the original from the model's tokenizer.json,
which llama.cpp quotes. GGUF files do not mention NFC; it is applied where the model's own tokenizer
applies it (Qwen2 in transformers 5.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_PUNCTUATION = r" ?[^\s\p{L}\p{N}]+"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TITLE_CASE = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+"
_CAPITALS = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"


@dataclass(frozen=True)
class Family:
    """A pre-tokenizer, and how the tokenizers that use it differ otherwise."""

    pre_tokenizer: Callable[[], PreTokenizer]
    nfc: bool = False  # normalise text to NFC first
    ignore_merges: bool = False  # a word that is a token is taken whole, without merges
    add_bos: bool = False  # whether text starts with BOS where the file does not say


def _digits() -> PreTokenizer:
    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


def _split(*alternatives: str) -> Callable[[], PreTokenizer]:
    """Split text at each match of one of the regexes, then turn characters into bytes."""
    regex = "|".join(alternatives)

    def build() -> PreTokenizer:
        split = Split(Regex(regex), "isolated")
        return Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])

    return build


_llama3 = _split(_CONTRACTION, _WORD, r"\p{N}{1,3}", _PUNCTUATION + r"[\r\n]*", _SPACES)
_qwen2 = _split(_CONTRACTION, _WORD, r"\p{N}", _PUNCTUATION + r"[\r\n]*", _SPACES)
_LLAMA_3 = Family(_llama3, ignore_merges=True, add_bos=True)

FAMILIES = {  # by `tokenizer.ggml.pre`
    "smollm": Family(_digits),  # SmolLM, SmolLM2
    "llama-bpe": _LLAMA_3,  # Llama 3
    "llama3": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "falcon3": _LLAMA_3,
    "dbrx": Family(_llama3),  # Phi-4
    "qwen2": Family(_qwen2, nfc=True),  # Qwen2, Qwen2.5, Qwen3
    "deepseek-r1-qwen": Family(_qwen2),  # the distilled DeepSeek R1
    "tekken": Family(  # Mistral
        _split(_TITLE_CASE, _CAPITALS, r"\p{N}", _PUNCTUATION + r"[\r\n/]*", _SPACES),
        ignore_merges=True,
        add_bos=True,
    ),
    "gpt-4o": Family(  # Phi-4-mini
        _split(
            f"{_TITLE_CASE}{_CONTRACTION}?",
            f"{_CAPITALS}{_CONTRACTION}?",
            r"\p{N}{1,3}",
            _PUNCTUATION + r"[\r\n/]*",
            _SPACES,
        )
    ),
}
