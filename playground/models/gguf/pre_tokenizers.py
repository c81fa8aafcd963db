"""What the pre-tokenizers that GGUF files name are, as Hugging Face's `tokenizers` has them.

A GGUF file names its pre-tokenizer and does not hold it. The names and regexes are those of
llama.cpp, src/llama-vocab.cpp (github.com/ggml-org/llama.cpp, commit 00ad355e009e). Where that file
rewrites a regex for its own engine, the "original regex from tokenizer.json" that it quotes stands
here. NFC, of which a GGUF file says nothing, is applied where the models' own tokenizers do so
(transformers 5.5: Qwen2, Qwen3.5, GPT-NeoX, Cohere).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Regex
from tokenizers.pre_tokenizers import (
    ByteLevel,
    Digits,
    PreTokenizer,
    Punctuation,
    Sequence,
    Split,
)

_ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TITLE = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+"
_CAPITALS = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
_NUMBER = r"\p{N}{1,3}"
_CHINESE = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_JAPANESE = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_SENTENCE_ENDS = ".,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c"
_CASED = (  # the letters of scripts with two cases, as deepseek-llm has them
    "A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481"
    "\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf"
    "\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d"
    "\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4"
    "\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"
    "\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f"
    "\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d"
    "\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17"
    "\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb"
    "\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
_ASCII_SIGN = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
_DEEPSEEK3 = (
    _ASCII_SIGN + r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Family:
    """Pre-tokenizers that are the same."""

    names: str  # of `tokenizer.ggml.pre`, with spaces between
    pre_tokenizer: Callable[[], PreTokenizer]
    nfc: bool = False
    ignore_merges: bool = False  # a word that is a token needs no merges
    add_bos: bool = False  # where the file does not say


def _gpt2() -> PreTokenizer:
    return ByteLevel(add_prefix_space=False)


def _digits() -> PreTokenizer:
    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


def _falcon() -> PreTokenizer:
    threes = Split(Regex("[0-9][0-9][0-9]"), "isolated")
    steps = [Punctuation("contiguous"), ByteLevel(add_prefix_space=False), Digits(), threes]
    return Sequence(steps)


def _by(*regexes: str) -> Callable[[], PreTokenizer]:
    """Each regex splits what the ones before it left; then characters become bytes."""

    def build() -> PreTokenizer:
        splits = [Split(Regex(regex), "isolated") for regex in regexes]
        return Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])

    return build


_llama3 = _by("|".join([_ENGLISH, _WORD, _NUMBER, _SIGNS + r"[\r\n]*", _SPACES]))
_qwen2 = _by("|".join([_ENGLISH, _WORD, r"\p{N}", _SIGNS + r"[\r\n]*", _SPACES]))

FAMILIES = (
    Family("gpt-2 phi-2 trillion granite-docling mellum a.x-4.0", _gpt2),
    Family("mpt olmo", _gpt2, nfc=True),
    Family("smollm starcoder refact exaone minerva-7b", _digits),
    Family("command-r", _digits, nfc=True),
    Family(
        "llama-bpe llama3 llama-v3 falcon3 pixtral midm-2.0 lfm2",
        _llama3,
        ignore_merges=True,
        add_bos=True,
    ),
    Family("dbrx smaug-bpe", _llama3),
    Family("qwen2", _qwen2, nfc=True),
    Family("deepseek-r1-qwen stablelm2 megrez", _qwen2),
    Family(
        "qwen35",
        _by(
            "|".join(
                [
                    _ENGLISH,
                    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
                    r"\p{N}",
                    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
                    _SPACES,
                ]
            )
        ),
        nfc=True,
    ),
    Family(
        "seed-coder",
        _by("|".join([_ENGLISH, _WORD, r"\p{N}", r" ?[^\s\p{L}\p{N}\r\n]+", _SPACES])),
    ),
    Family(
        "tekken",
        _by("|".join([_TITLE, _CAPITALS, r"\p{N}", _SIGNS + r"[\r\n/]*", _SPACES])),
        ignore_merges=True,
        add_bos=True,
    ),
    Family(
        "gpt-4o llama4 minimax-m2",
        _by(
            "|".join(
                [
                    f"{_TITLE}{_ENGLISH}?",
                    f"{_CAPITALS}{_ENGLISH}?",
                    _NUMBER,
                    _SIGNS + r"[\r\n/]*",
                    _SPACES,
                ]
            )
        ),
    ),
    Family(
        "deepseek-llm",
        _by(
            r"[\r\n]",
            rf"\s?[{_CASED}]+",
            "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
            r"\s+$",
            _CHINESE,
            r"\p{N}",
        ),
    ),
    Family("deepseek-coder", _by(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CHINESE, r"\p{N}")),
    Family("deepseek-v3", _by(_NUMBER, _JAPANESE, _DEEPSEEK3)),
    Family("falcon", _falcon),
    Family("bloom poro-chat gpt3-finnish", _by(rf" ?[^(\s|{_SENTENCE_ENDS})]+")),
    Family("viking", _by(rf" ?[^(\s|{_SENTENCE_ENDS})]+", r"\p{N}")),
    Family(
        "default",
        _by(
            r"[\p{P}$+<=>^~|]+",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
            r"\p{N}+",
            "[0-9][0-9][0-9]",
        ),
    ),
)
BY_NAME = {name: family for family in FAMILIES for name in family.names.split()}
