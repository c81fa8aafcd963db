"""Turns prompts into token ids and back, once for all engines.

Chat templates are rendered as in transformers (5.5, `utils/chat_template_utils.py`), but with
`tokenizers` and `jinja2` alone: neither transformers nor torch is imported. Text that a user types
never becomes a control token: a typed `<|im_end|>` would end the user's turn and let the text speak
for the system (huggingface/transformers#29279).
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import tokenizers
from tokenizers import AddedToken
from tokenizers.decoders import DecodeStream

from playground.chat_template import Json, compile_template, template_source
from playground.errors import BadInput, PreparationError

log = logging.getLogger(__name__)
BREAK = "\u200b"  # a zero width space breaks up a control token and is invisible to a reader
PROBE = "xyzzy"
# Ends of a turn, for folders whose generation_config.json is missing or has the end of text only.
TURN_ENDS = {"<|im_end|>", "<|end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"}
TURN_ENDS |= {"<end_of_turn>", "</s>", "<|assistant|>"}  # the last one begins Phi-3's next turn


class TextStream(Protocol):
    """Decodes ids as they arrive; an incomplete character waits for its other bytes."""

    def push(self, ids: Sequence[int]) -> str: ...


class Tokenizer(Protocol):
    """Encodes prompts and decodes answers of one model."""

    stop_ids: tuple[int, ...]  # any of them ends an answer
    context: int  # tokens of prompt and answer together
    has_template: bool  # False: a base model, which continues the prompt

    def ids(self, prompt: str, system: str = "") -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def stream(self) -> TextStream: ...


class ChatTokenizer:
    """The tokenizer and chat template of a Hugging Face folder. Raises PreparationError."""

    def __init__(self, folder: Path) -> None:
        try:
            self._read(folder)
        except Exception as error:  # tokenizers raises bare Exception, templates anything
            log.warning("%s: %s: %s", folder, type(error).__name__, error)
            message = f"The tokenizer, config.json or template in {folder} is missing or broken."
            raise PreparationError(message, "Prepare or download the model again.") from error

    def _read(self, folder: Path) -> None:
        config = read_config(folder)
        self.context: int = config["max_position_embeddings"]
        settings = _read_json(folder / "tokenizer_config.json")
        if "added_tokens_decoder" not in settings:  # the older file wins then, as in transformers
            settings = {**settings, **_read_json(folder / "special_tokens_map.json")}
        self._special = _named_tokens(settings)
        self._tokenizer = _load(folder, settings, {*self._special.values()})
        added = self._tokenizer.get_added_tokens_decoder()
        self._control = {n: token.content for n, token in added.items() if _is_control(token)}
        unknown = self._tokenizer.encode("\U0010fffd", add_special_tokens=False)  # private use
        self._unknown = {*unknown.ids}  # an unknown character is no typed "<unk>"
        self.stop_ids = self._ends(config, _read_json(folder / "generation_config.json"))
        self._hidden = {*self.stop_ids, *(n for n, token in added.items() if token.special)}
        source = template_source(folder, settings)
        self._template = compile_template(source) if source else None
        self.has_template = self._template is not None
        self._takes_system = True
        try:  # some templates silently drop a system message, some refuse it (Gemma)
            self._takes_system = PROBE in self._render("x", PROBE)
        except BadInput:
            self._takes_system = False
        self._render("x", PROBE)

    def _ends(self, *configs: Json) -> tuple[int, ...]:
        ends = {n for n, token in self._control.items() if token in TURN_ENDS}
        ends.add(self._tokenizer.token_to_id(self._special.get("eos_token", "")))
        for value in (config.get("eos_token_id") for config in configs):
            ends.update(value if isinstance(value, list) else [value])
        return tuple(sorted(ends - {None}))

    def ids(self, prompt: str, system: str = "") -> list[int]:
        """The ids for the engines, in which only the template's own control tokens remain.

        Raises BadInput for a prompt that the template refuses or that cannot be made harmless.
        """
        control = self._control.keys() - self._unknown
        for neutralise in (self._break_recognised, self._break_all):
            prompt, system = neutralise(prompt), neutralise(system)
            ids = self._encode(prompt, system)
            plain = self._encode(_plain_words(prompt), _plain_words(system))
            if [n for n in ids if n in control] == [n for n in plain if n in control]:
                return ids
        message = "The prompt contains control tokens of this model that cannot be made harmless."
        raise BadInput(message, "Remove everything that looks like <|…|>.")

    def decode(self, ids: Sequence[int]) -> str:
        """The text without special tokens; an incomplete character becomes "�"."""
        return str(self._tokenizer.decode([n for n in ids if n not in self._hidden]))

    def stream(self) -> TextStream:
        """A new incremental decoder."""
        return _TokenStream(self._tokenizer, self._hidden)

    def _render(self, prompt: str, system: str) -> str:
        if system and not (self._template and self._takes_system):
            prompt, system = f"{system}\n\n{prompt}", ""
        if self._template is None:
            return prompt
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})
        fixed = {"tools": None, "documents": None, "add_generation_prompt": True}
        try:
            return self._template.render(messages=messages, **fixed, **self._special)
        except Exception as error:  # a template's expressions can raise anything
            log.info("chat template: %s", error)
            message = "The model's chat template refuses this prompt."
            raise BadInput(message, "Try another prompt or model.") from error

    def _encode(self, prompt: str, system: str) -> list[int]:
        plain = not self.has_template  # a template writes its own bos_token
        text = self._render(prompt, system)
        return list(self._tokenizer.encode(text, add_special_tokens=plain).ids)

    def _break_recognised(self, text: str) -> str:
        """Break up the control tokens that the tokenizer recognises, until there are none."""
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be encoded
        for _ in range(16):  # nested and overlapping tokens need several rounds
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            cuts = []
            for token_id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                span = text[start:end].strip()
                unknown = token_id in self._unknown and span != self._control.get(token_id)
                if token_id in self._control and len(span) > 1 and not unknown:
                    cuts.append(text.index(span, start) + 1)
            if not cuts:
                break
            text = _insert_breaks(text, cuts)
        return text

    def _break_all(self, text: str) -> str:
        """Break up everything that reads as a control token, alone or with the template's text."""
        names = "|".join(map(re.escape, self._control.values()))
        matches = re.finditer(f"(?={names})", text)
        cuts = [0, len(text), *(match.start() + 1 for match in matches)]
        return _insert_breaks(text, cuts) if text else text


class _TokenStream:
    """Holds back a sequence of byte tokens (`<0xE2>`: Llama 2, Phi-3, Gemma) until it ends.

    The decoder needs all of it: one invalid byte also turns the valid ones before it into "�".
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, hidden: set[int]) -> None:
        self._tokenizer = tokenizer
        self._hidden = hidden
        self._bytes = {tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)}
        self._stream = DecodeStream(skip_special_tokens=False)  # push leaves them out
        self._grows = True
        self._seen: list[int] = []
        self._held: list[int] = []
        self._length = 0  # of the text returned so far

    def push(self, ids: Sequence[int]) -> str:
        text = ""
        for token_id in ids:
            if token_id not in self._hidden and self._tokenizer.id_to_token(token_id) is not None:
                self._seen.append(token_id)
                self._held.append(token_id)
                text += "" if token_id in self._bytes else self._release()
        return text

    def _release(self) -> str:
        held, self._held = self._held, []
        try:
            text = self._stream.step(self._tokenizer, held) or "" if self._grows else self._rest()
        except Exception:  # "Invalid prefix": a decoder that changes earlier text
            self._grows = False
            text = self._rest()
        self._length += len(text)
        return text

    def _rest(self) -> str:
        whole = str(self._tokenizer.decode(self._seen, skip_special_tokens=False))
        return "" if whole.endswith("\ufffd") else whole[self._length :]


class ByteTokenizer:
    """The fake lane's: ids 0 to 255 are bytes of UTF-8, 256 ends the answer."""

    stop_ids: tuple[int, ...] = (256,)
    context = 32_768
    has_template = False

    def ids(self, prompt: str, system: str = "") -> list[int]:
        return [*(f"{system}\n\n{prompt}" if system else prompt).encode("utf-8", "replace")]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(n for n in ids if n < 256).decode("utf-8", "replace")

    def stream(self) -> TextStream:
        return _ByteStream()


class _ByteStream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Sequence[int]) -> str:
        return self._decoder.decode(bytes(n for n in ids if n < 256))


def _read_json(path: Path) -> Json:
    return {**json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def read_config(folder: Path) -> Json:
    """config.json, or its counterpart in a folder of ONNX Runtime GenAI under the same names.

    Raises OSError, ValueError, LookupError or TypeError where it is missing or broken.
    """
    if (folder / "config.json").is_file():
        config = _read_json(folder / "config.json")
        return {**(config.get("text_config") or {}), **config}
    config = _read_json(folder / "genai_config.json")["model"]
    decoder = config["decoder"]
    names = {
        "max_position_embeddings": config["context_length"],
        "head_dim": decoder.get("head_size"),
    }
    return {**config, **decoder, **names}


def _named_tokens(settings: Json) -> dict[str, str]:
    """bos_token, eos_token and so on, which templates may use."""
    extra = settings.get("extra_special_tokens")
    tokens = {name: value for name, value in settings.items() if name.endswith("_token")}
    tokens |= extra if isinstance(extra, dict) else {}
    texts = {n: v.get("content") if isinstance(v, dict) else v for n, v in tokens.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _load(folder: Path, settings: Json, special: Iterable[str]) -> tokenizers.Tokenizer:
    """The tokenizer, with the tokens that are only in tokenizer_config.json."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()  # some files limit texts to 512 tokens, which transformers ignores
    tokenizer.no_padding()
    listed = settings.get("added_tokens_decoder", {})
    tokenizer.add_tokens([AddedToken(**listed[number]) for number in sorted(listed, key=int)])
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    missing = {text for text in special if tokenizer.token_to_id(text) is not None} - added
    tokenizer.add_tokens([AddedToken(text, special=True) for text in missing])
    return tokenizer


def _is_control(token: AddedToken) -> bool:
    """Whether it is more than the blanks or single characters that Gemma and Phi-2 add."""
    text = token.content.replace("▁", " ").strip()
    return len(text) > 1 or bool(text and token.special)


def _plain_words(text: str) -> str:
    """The same words, on which a template may depend ("/no_think"), without control tokens."""
    words = re.sub(r"[^\w\s/]", "x", text)
    return f"{BREAK}{words}{BREAK}" if words.strip() else words


def _insert_breaks(text: str, cuts: Iterable[int]) -> str:
    edges = [0, *sorted({*cuts}), len(text)]
    return BREAK.join(text[start:end] for start, end in pairwise(edges))
