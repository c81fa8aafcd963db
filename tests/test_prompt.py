"""The prompt's ids are transformers' own, and nothing a person types turns into a control token."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from playground.errors import BadInput, PreparationError
from playground.prompt import ByteTokenizer, ChatTokenizer

TEMPLATES = Path(__file__).parent / "support" / "templates"
SENTENCES = [
    "What is the capital of France? The capital of France is Paris.",
    "You are a helpful assistant. Answer in one sentence, please.",
    "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))  # three",
    "Grüße aus Köln, 你好，世界。今天天气很好。 <b>bold</b> [1] {x} | ~",
]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

Theirs: TypeAlias = Any  # a tokenizer of transformers, which is mostly without types
Pair: TypeAlias = tuple[ChatTokenizer, Theirs, bool]

# name: (kind, bos, eos, special tokens, added tokens that are not special)
MODELS: dict[str, tuple[str, str, str, str, str]] = {
    "smollm2": ("bytes", "<|im_start|>", "<|im_end|>", "<|endoftext|>", ""),
    "qwen2.5": ("bytes", "", "<|im_end|>", "<|endoftext|> <|im_start|>", "<think> <tool_call>"),
    "llama3": (
        "bytes",
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|start_header_id|> <|end_header_id|> <|eot_id|>",
        "",
    ),
    "phi3": ("pieces", "<s>", "<|endoftext|>", "<unk> <|end|> <|user|> <|assistant|>", "</s>"),
    "gemma": ("pieces", "<bos>", "<eos>", "<unk> <start_of_turn> <end_of_turn>", "▁▁ \n\n <table>"),
    "mistral": ("pieces", "<s>", "</s>", "<unk>", ""),
}
REFUSE_SYSTEM = {"gemma", "mistral"}


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def pieces() -> Tokenizer:
    """Like a SentencePiece model: spaces are ▁, characters it does not hold are byte tokens."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.train_from_iterator(SENTENCES, BpeTrainer(vocab_size=300, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    words = ["<unk>", "<s>", "</s>", *BYTES, *model["vocab"]]
    vocab = {word: number for number, word in enumerate(dict.fromkeys(words))}
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def save(folder: Path, tokenizer: Tokenizer, template: str = "", **names: object) -> Path:
    """A Hugging Face folder that transformers and ChatTokenizer both read."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast"} | {n: v for n, v in names.items() if v}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    if template:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    home = tmp_path_factory.mktemp("tokenizers")

    def make(name: str) -> Path:
        if not (home / name).exists():
            kind, bos, eos, special, added = MODELS[name]
            tokenizer = byte_level() if kind == "bytes" else pieces()
            strip = name == "phi3"  # its own tokens take the blanks that follow
            words = [word for word in [bos, eos, *special.split()] if word]
            tokenizer.add_special_tokens(
                [AddedToken(word, special=True, rstrip=strip) for word in words]
            )
            tokenizer.add_tokens(
                [AddedToken(word, normalized=False) for word in added.split(" ") if word]
            )
            template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
            save(home / name, tokenizer, template, bos_token=bos, eos_token=eos)
        return home / name

    return make


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, folder: Callable[[str], Path]) -> Pair:
    """Ours, transformers', and whether the template takes a system message."""
    from transformers import PreTrainedTokenizerFast

    path = folder(request.param)
    theirs = PreTrainedTokenizerFast.from_pretrained(path)
    return ChatTokenizer(path), theirs, request.param not in REFUSE_SYSTEM


def rendered(theirs: Theirs, prompt: str, system: str, takes_system: bool = True) -> list[int]:
    if system and not takes_system:
        prompt, system = f"{system}\n\n{prompt}", ""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    ids = theirs.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    return list(ids)


def control_ids(tokenizer: ChatTokenizer, ids: list[int]) -> list[int]:
    """Counted here by the file alone, apart from what ChatTokenizer thinks of it."""
    added = tokenizer._tokenizer.get_added_tokens_decoder()
    names = {number: token.content.replace("▁", " ").strip() for number, token in added.items()}
    return [number for number in ids if names.get(number)]


PLAIN = st.text() | st.lists(st.sampled_from([*SENTENCES, " ", "\n\n", "   ", "<", "|>"])).map(
    "".join
)


@settings(max_examples=60, deadline=None)
@given(prompt=PLAIN, system=PLAIN)
@example(prompt="a  b   c\n\n\nd\t", system=" <|im_ end|> ")
@example(prompt="/no_think ok", system="<|not a token|>")
def test_ids_are_those_of_transformers(pair: Pair, prompt: str, system: str) -> None:
    ours, theirs, takes_system = pair
    assume(not any(token in text for token in ours._control.values() for text in (prompt, system)))
    assert ours.ids(prompt, system) == rendered(theirs, prompt, system, takes_system)


TYPED = [
    "<|im_end|>",
    "<|im_start|>",
    "<|im_",
    "end|>",
    "<think>",
    "<tool_call>",
    "<|eot_id|>",
    "<|end|>",
    "<|assistant|>",
    "</s>",
    "<s>",
    "<unk>",
    "<bos>",
    "<end_of_turn>",
    "<table>",
    "<",
    "|>",
    " ",
    "\n",
    "\u200b",
    "system",
    "你",
]


@settings(max_examples=120, deadline=None)
@given(
    prompt=st.lists(st.sampled_from(TYPED)).map("".join),
    system=st.lists(st.sampled_from(TYPED), max_size=4).map("".join),
)
@example(prompt="<|im_<|im_end|>end|>", system="<|im_<|im_<|im_end|>end|>end|>")
@example(prompt="<unk>你好   <|end|>   ", system="")
def test_typed_control_tokens_never_become_control_ids(
    pair: Pair, prompt: str, system: str
) -> None:
    ours, _, _ = pair
    plain = ours.ids("x", "x" if system.strip() else system)
    assert control_ids(ours, ours.ids(prompt, system)) == control_ids(ours, plain)


def test_typed_control_tokens_stay_readable(folder: Callable[[str], Path]) -> None:
    tokenizer = ChatTokenizer(folder("qwen2.5"))
    text = tokenizer.decode(tokenizer.ids("What does <|im_end|> or <think> mean?"))
    assert "What does <|im_end|> or <think> mean?" in text.replace("\u200b", "")


def test_a_control_token_made_by_the_normalizer_is_parted(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_tokens([AddedToken("<think>", normalized=True)])
    ours = ChatTokenizer(save(tmp_path, tokenizer, "{{ messages[0]['content'] }}"))
    typed = "＜think＞ and ＜th＜ｔhink＞ink＞"
    assert "<think>" in unicodedata.normalize("NFKC", typed)
    assert control_ids(ours, ours.ids(typed)) == []


def test_a_control_token_completed_by_the_template_is_parted(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["<think>"])
    template = "<{{ messages[0]['content'] }}ink>"
    ours = ChatTokenizer(save(tmp_path, tokenizer, template))
    for typed in ("think>", "th", "<th"):
        assert control_ids(ours, ours.ids(typed)) == []


def test_a_control_token_that_cannot_be_parted_is_refused(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["<think>"])
    template = "{{ messages[0]['content'] | replace('\u200b', '') }}"
    with pytest.raises(BadInput):
        ChatTokenizer(save(tmp_path, tokenizer, template)).ids("<think>")


def test_an_unknown_word_is_not_taken_for_a_typed_control_token(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<unk>"])
    ours = ChatTokenizer(save(tmp_path, tokenizer, "{{ messages[0]['content'] }}"))
    assert ours.ids("a word a") == tokenizer.encode("a word a").ids == [1, 0, 1]


def test_the_environment_of_templates_is_that_of_transformers(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    template = """\
{% for message in messages %}
    {%- set seen = {'<é>': [1, none]} %}
    {% generation %}{{ seen | tojson(indent=1) }}{{ seen | tojson }}{% endgeneration %}
    {% if loop.index > 1 %}{% break %}{% endif %}
{{ message.content }}{{ strftime_now('%Y') }}{{ bos_token }}{{ image_token }}{{ pad_token }}
{% endfor %}
{% if tools is none %}no tools{% endif %}{{ add_generation_prompt }}
"""
    names = {"bos_token": {"__type": "AddedToken", "content": "The"}, "image_token": "is"}
    path = save(tmp_path, byte_level(), template, **names)
    (path / "special_tokens_map.json").write_text('{"pad_token": {"content": "add"}}')
    theirs = PreTrainedTokenizerFast.from_pretrained(path)
    ours = ChatTokenizer(path)
    assert ours.ids("Hi", "Say") == rendered(theirs, "Hi", "Say")
    assert ours._tokenizer.get_added_tokens_decoder() == theirs.added_tokens_decoder


def test_templates_are_found_in_the_tokenizers_settings_too(tmp_path: Path) -> None:
    both = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    for number, template in enumerate(["yes", both]):
        path = save(tmp_path / str(number), byte_level(), chat_template=template)
        assert ChatTokenizer(path).decode(ChatTokenizer(path).ids("Hi")) == "yes"


def test_a_system_text_that_the_template_leaves_out_goes_before_the_prompt(tmp_path: Path) -> None:
    template = "{% for m in messages if m.role == 'user' %}[{{ m.content }}]{% endfor %}"
    ours = ChatTokenizer(save(tmp_path, byte_level(), template))
    assert ours.decode(ours.ids("Hi", "Be brief.")) == "[Be brief.\n\nHi]"


def test_without_a_template_the_prompt_is_continued_as_it_is(tmp_path: Path) -> None:
    tokenizer = pieces()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=40)
    ours = ChatTokenizer(save(tmp_path, tokenizer, bos_token="<s>", eos_token="</s>"))
    assert not ours.has_template and ours.context == 2048
    assert ours.ids("</s>")[0] == 1 and 2 not in ours.ids("</s>")
    assert ours.decode(ours.ids("The capital of France", "Hi")) == "Hi\n\nThe capital of France"


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("smollm2", {"<|im_end|>", "<|endoftext|>"}),
        ("llama3", {"<|end_of_text|>", "<|eot_id|>"}),
        ("phi3", {"</s>", "<|end|>", "<|endoftext|>", "<|assistant|>"}),
        ("gemma", {"<eos>", "<end_of_turn>"}),
    ],
)
def test_every_end_of_turn_stops_an_answer(
    folder: Callable[[str], Path], name: str, tokens: set[str]
) -> None:
    tokenizer = ChatTokenizer(folder(name))
    assert {tokenizer._tokenizer.id_to_token(number) for number in tokenizer.stop_ids} == tokens


def test_stop_ids_come_from_all_configurations(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    path = shutil.copytree(folder("mistral"), tmp_path / "copy")
    config = {"eos_token_id": 7, "text_config": {"max_position_embeddings": 99}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "generation_config.json").write_text('{"eos_token_id": [9, 8]}')
    tokenizer = ChatTokenizer(path)
    assert tokenizer.stop_ids == (2, 7, 8, 9) and tokenizer.context == 99


@settings(max_examples=150, deadline=None)
@given(
    ids=st.lists(st.integers(0, 700), max_size=40),
    text=st.text(max_size=20),
    cut=st.integers(1, 5),
)
def test_streamed_text_is_a_prefix_of_the_final_text(
    pair: Pair, ids: list[int], text: str, cut: int
) -> None:
    tokenizer = pair[0]
    ids = ids + tokenizer._tokenizer.encode(text, add_special_tokens=False).ids + ids
    stream = tokenizer.stream()
    streamed = "".join(stream.push(ids[i : i + cut]) for i in range(0, len(ids), cut))
    final = tokenizer.decode(ids)
    assert final.startswith(streamed)
    end = tokenizer._tokenizer.encode("a", add_special_tokens=False).ids  # ends a pending tail
    assert streamed + stream.push(end) == tokenizer.decode(ids + end)


def test_an_unfinished_character_waits_in_the_stream(folder: Callable[[str], Path]) -> None:
    tokenizer = ChatTokenizer(folder("smollm2"))
    ids = tokenizer._tokenizer.encode("ok 🚀").ids[:-1]
    assert tokenizer.stream().push(ids) == "ok "
    assert tokenizer.decode(ids) == "ok \ufffd"


def test_answers_show_thinking_and_hide_special_tokens(folder: Callable[[str], Path]) -> None:
    tokenizer = ChatTokenizer(folder("qwen2.5"))
    ids = tokenizer._tokenizer.encode("<think>a<|im_start|>b<|im_end|>").ids
    assert tokenizer.decode(ids) == tokenizer.stream().push(ids) == "<think>ab"


def test_a_decoder_that_takes_text_back_loses_nothing(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "c": 2}, []))
    tokenizer.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "xyz")])
    ours = ChatTokenizer(save(tmp_path, tokenizer))
    stream = ours.stream()
    streamed = "".join(stream.push([number]) for number in [0, 1, 2, 2, 1])
    assert len(streamed) == len(ours.decode([0, 1, 2, 2, 1])) and streamed.endswith("ccb")


@settings(deadline=None)
@given(text=st.text(), ids=st.lists(st.integers(0, 256)))
def test_the_byte_tokenizer_gives_back_what_it_took(text: str, ids: list[int]) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode([*tokenizer.ids(text), 256]) == text
    assert tokenizer.stream().push(tokenizer.ids(text, "system")) == f"system\n\n{text}"
    stream = tokenizer.stream()
    streamed = "".join(stream.push([number]) for number in ids)
    assert tokenizer.decode(ids).startswith(streamed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", None),
        ("tokenizer.json", "{}"),
        ("tokenizer_config.json", "{"),
        ("tokenizer_config.json", "[]"),
        ("config.json", None),
        ("chat_template.jinja", "{% if %}"),
        ("chat_template.jinja", "{{ messages[7].content.upper() }}"),
    ],
)
def test_a_broken_folder_is_reported_in_a_sentence_with_a_fix(
    folder: Callable[[str], Path], tmp_path: Path, name: str, content: str | None
) -> None:
    path = shutil.copytree(folder("smollm2"), tmp_path / "copy")
    (path / name).unlink() if content is None else (path / name).write_text(content)
    with pytest.raises(PreparationError) as caught:
        ChatTokenizer(path)
    assert caught.value.message.endswith(".") and caught.value.fix.endswith(".")


def test_the_parent_stays_light() -> None:
    code = "import sys, playground.prompt as p; print({'torch', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_default_model_is_prompted_as_transformers_would(
    prepared: Callable[[str, str], Path],
) -> None:
    from transformers import AutoTokenizer

    path = prepared("hf", "fp32")
    ours, theirs = ChatTokenizer(path), AutoTokenizer.from_pretrained(path)
    for prompt in SENTENCES:
        assert ours.ids(prompt) == rendered(theirs, prompt, "")
        assert ours.ids(prompt, "Be brief.") == rendered(theirs, prompt, "Be brief.")
    assert theirs.eos_token_id in ours.stop_ids
    assert ours.context >= 2048
