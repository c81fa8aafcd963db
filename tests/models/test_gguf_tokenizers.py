"""Tokenizers made from GGUF files give the ids and the text of the models' own tokenizers."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers import pre_tokenizers as pre

from playground.models.gguf import convert
from playground.models.gguf import tokenizer as gguf_tokenizers
from playground.models.gguf.config import Metadata
from playground.models.gguf.errors import Code, GgufError
from tests.support import gguf_files
from tests.support.gguf_files import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED

CORPUS = """It's what we'll do: they've said I'm late, he'd go. IT'S THE SAME, WE'LL SEE!
Das Mädchen läuft über die Straße; naïve café, déjà vu. Привет, мир. Γειά σου κόσμε.
你好，世界！我想买 3 个苹果。こんにちは世界、カタカナ。안녕하세요 세계. नमस्ते दुनिया।
สวัสดีชาวโลก مرحبا بالعالم 1234567 3.14159 ٣٤٥ ²³½
    for (int i = 0; i < 10; ++i) {\r\n\t\tprintf("%d\\n", x[i] / 2);\r\n\t}\n\n\n
👋🏽 👩\u200d💻 🇩🇪 http://example.org/a_b?c=d&e=f   three   spaces\u00a0and\u3000wide XMLParser  """
NASTY = (
    *("", "  ", " \n\n \t x", "\r\n\r\n  \n", "x  y   z    w", "a\u2028b\u200bc\x00\x7f"),
    *("I'M he'LL ſ's K'S 'tis''s", "....!!!???////---\n/\n", "<|im_end|> <|end|>\n x<|nothing|>"),
    *(
        "3.14159 1234567 ٣٤٥ ²³½Ⅷ",
        "e\u0301 ﬁ A\u030a \u2126",
        "\u1112\u1161\u11ab 글",
        "ÀÉÎõü ǅx ʰa",
    ),
    *("🇩🇪👩🏽\u200d💻❤️", "▁a ▁▁b", "नमस्ते ภาษาไทย", "<tool>   <tool>"),
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*NASTY, *CORPUS, *CORPUS.split()]), max_size=12).map("".join),
)
ADDED = [
    AddedToken("<|endoftext|>", special=True, normalized=False),
    AddedToken("<|im_start|>", special=True, normalized=False),
    AddedToken("<|im_end|>", special=True, normalized=False),
    AddedToken("   ", special=False, normalized=False),
    AddedToken("<tool>", special=False, normalized=False),
]


def split(*regexes: str) -> pre.PreTokenizer:
    splits = [pre.Split(Regex(regex), "isolated") for regex in regexes]
    return pre.Sequence([*splits, pre.ByteLevel(add_prefix_space=False, use_regex=False)])


LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT_4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DIGITS = [pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]
PUBLISHED = {  # in the models' tokenizer.json
    "smollm": pre.Sequence(DIGITS),
    "llama-bpe": split(LLAMA_3),
    "dbrx": split(LLAMA_3),  # Phi-4
    "tekken": split(TEKKEN),
    "gpt-4o": split(GPT_4O),  # Phi-4-mini
}
IN_TRANSFORMERS = {"qwen2": "Qwen2Tokenizer"}


@functools.cache
def pair(name: str) -> tuple[Tokenizer, Tokenizer]:
    """A small tokenizer of that family, and the one made from it by way of a GGUF file."""
    own = Tokenizer(models.BPE(ignore_merges=name in ("llama-bpe", "tekken")))
    if name in PUBLISHED:
        own.pre_tokenizer = PUBLISHED[name]
    else:
        import transformers

        published = getattr(transformers, IN_TRANSFORMERS[name])().backend_tokenizer
        own.pre_tokenizer = published.pre_tokenizer
        if published.normalizer is not None:
            own.normalizer = published.normalizer
    own.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
    )
    own.train_from_iterator([CORPUS] * 2, trainer)
    own.add_tokens(ADDED)
    size = own.get_vocab_size()
    vocabulary = gguf_files.byte_level(own, name, size + 9, eos=own.token_to_id("<|im_end|>"))
    return own, gguf_tokenizers.build(described(vocabulary))


def described(vocabulary: gguf_files.Vocabulary, architecture: str = "llama") -> Metadata:
    """The metadata of a GGUF file with that vocabulary."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = gguf_files.write(Path(folder) / "x.gguf", architecture, vocabulary, {})
        return convert.metadata_of(convert.read(file))


@pytest.mark.parametrize("name", [*PUBLISHED, *IN_TRANSFORMERS])
@settings(deadline=None, max_examples=120, print_blob=False)
@given(text=TEXTS)
@example(text="".join(NASTY))
@example(text=CORPUS)
def test_a_byte_level_tokenizer_gives_the_ids_and_the_text_of_the_models_own(
    name: str, text: str
) -> None:
    own, rebuilt = pair(name)
    ids = rebuilt.encode(text, add_special_tokens=False).ids
    assert ids == own.encode(text).ids
    for skip in (True, False):
        decoded = rebuilt.decode(ids, skip_special_tokens=skip)
        assert decoded == own.decode(ids, skip_special_tokens=skip)


@functools.cache
def pieces(spaced: bool) -> tuple[tuple[str, float, int], ...]:
    """As SentencePiece lists them: control, bytes, merged ones by rank, then characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre.Split(Regex("▁*[^▁]+"), "isolated")
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False)
    tokenizer.train_from_iterator([CORPUS] * 2, trainer)
    ranks = tokenizer.get_vocab()
    learned = sorted(ranks, key=lambda piece: (len(piece) == 1, ranks[piece]))
    first = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    first += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    first += [] if spaced else [(n * " ", -1000.0, USER_DEFINED) for n in range(2, 8)]  # Gemma
    scored = [(piece, -float(rank), NORMAL) for rank, piece in enumerate(learned)]
    named = [(f"<|{name}|>", -1000.0, CONTROL) for name in ("endoftext", "user", "end")]
    return (*first, *scored, *named)


def by_score(text: str, spaced: bool) -> list[str]:
    """SentencePiece's own way: the neighbours with the best score become one, the left ones first.

    Written anew here from its description, to compare with; it is slow.
    """
    scores = {piece: score for piece, score, kind in pieces(spaced) if kind == NORMAL}
    parts = list(text.replace(" ", "▁"))
    while True:
        pairs = [scores.get(a + b) for a, b in zip(parts, parts[1:], strict=False)]
        scored = [score for score in pairs if score is not None]
        if not scored:
            break
        at = pairs.index(max(scored))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    as_bytes = ([f"<0x{byte:02X}>" for byte in part.encode()] for part in parts)
    return [
        piece
        for part, split_up in zip(parts, as_bytes, strict=True)
        for piece in ([part] if part in scores else split_up)
    ]


@functools.cache
def from_pieces(spaced: bool, architecture: str) -> Tokenizer:
    vocabulary = gguf_files.sentencepiece(pieces(spaced), add_space_prefix=spaced)
    return gguf_tokenizers.build(described(vocabulary, architecture))


@pytest.mark.parametrize("spaced", [True, False])
@settings(deadline=None, max_examples=150, print_blob=False)
@given(text=TEXTS)
@example(text=CORPUS)
def test_a_sentencepiece_tokenizer_merges_by_score_and_falls_back_to_bytes(
    spaced: bool, text: str
) -> None:
    text = text.replace("▁", "_").replace("<|", "< |")
    tokenizer = from_pieces(spaced, "llama")
    encoding = tokenizer.encode(text, add_special_tokens=False)
    if spaced:
        assert encoding.tokens == by_score(f" {text}" if text else "", spaced)
    elif "  " not in text:  # runs of spaces are tokens of their own, whatever the scores
        assert encoding.tokens == by_score(text, spaced)
    assert tokenizer.decode(encoding.ids) == text


def test_runs_of_spaces_that_are_tokens_stay_whole() -> None:
    tokens = from_pieces(False, "gemma2").encode("a" + 7 * " " + "b", add_special_tokens=False)
    assert tokens.tokens == ["a", 7 * " ", "b"]


def test_control_tokens_of_phi_3_take_the_blanks_after_them() -> None:
    text = "<|user|>\n<|end|>\n \t<|endoftext|>\n"
    for architecture, kept in (("phi3", []), ("llama", ["▁", "\n"])):
        tokenizer = from_pieces(True, architecture)
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        tokens = [tokenizer.id_to_token(number) for number in ids]
        assert tokens[: 2 + len(kept)] == ["<|user|>", *kept, "<|end|>"]
        assert tokens[-3:] == ["<|endoftext|>", "▁", "\n"]


@pytest.mark.parametrize(
    ("bos", "eos", "edges"),
    [(None, None, (["<s>"], [])), (False, True, ([], ["</s>"])), (False, None, ([], []))],
)
def test_what_stands_before_and_after_a_plain_text_is_the_files_choice(
    bos: bool | None, eos: bool | None, edges: tuple[Sequence[str], Sequence[str]]
) -> None:
    choices = {"add_bos_token": bos, "add_eos_token": eos}
    more = {name: value for name, value in choices.items() if value is not None}
    tokenizer = gguf_tokenizers.build(described(gguf_files.sentencepiece(pieces(True), **more)))
    bare = tokenizer.encode("a b", add_special_tokens=False).tokens
    assert tokenizer.encode("a b").tokens == [*edges[0], *bare, *edges[1]]


def test_every_token_keeps_its_id_and_its_kind() -> None:
    own, rebuilt = pair("qwen2")
    vocabulary = {rebuilt.id_to_token(number): number for number in range(700)}
    assert vocabulary | own.get_vocab() == vocabulary
    kinds = {token.content: token.special for token in rebuilt.get_added_tokens_decoder().values()}
    assert kinds == {token.content: token.special for token in ADDED}
    assert rebuilt.get_vocab_size() == own.get_vocab_size()  # nothing that only fills up


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.pre": "no-such"}, "model 'gpt2', pre-tokenizer 'no-such'"),
        ({"tokenizer.ggml.pre": None}, "model 'gpt2', pre-tokenizer None"),
        ({"tokenizer.ggml.model": "t5"}, "model 't5', pre-tokenizer 'qwen2'"),
        ({"tokenizer.ggml.model": "llama"}, "pre-tokenizer 'qwen2', without scores"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "two ids for one token"),
    ],
)
def test_a_tokenizer_that_is_not_known_is_refused_by_name(
    change: dict[str, Any], message: str
) -> None:
    supported = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": ["a", "b"],
        "tokenizer.ggml.token_type": [NORMAL, NORMAL],
        "tokenizer.ggml.merges": [],
    }
    gguf_tokenizers.check_supported(supported)
    with pytest.raises(GgufError) as refused:
        gguf_tokenizers.check_supported(supported | change)
    assert refused.value.code is Code.UNKNOWN_TOKENIZER
    assert refused.value.detail.endswith(message)
