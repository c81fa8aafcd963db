"""Prompt text to token ids and back, once in the parent for every engine.

The chat template is rendered as transformers renders it (transformers 5.5,
`utils/chat_template_utils.py`), with `tokenizers` and `jinja2` alone: no transformers, no torch.
What a person types never becomes a control token: a typed `<|im_end|>` would end the user's
turn and let the text speak for the system (huggingface/transformers#29279).
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import tokenizers
from tokenizers import AddedToken
from tokenizers.decoders import DecodeStream

from playground.errors import BadInput, PreparationError

log = logging.getLogger(__name__)
BREAK = "\u200b"  # zero width space: parts a control token, and a reader does not see it
PROBE = "xyzzy"
# End of turn, for folders whose generation_config.json is missing or names the end of text only.
TURN_ENDS = {"<|im_end|>", "<|end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"}
TURN_ENDS |= {"<end_of_turn>", "</s>", "<|assistant|>"}  # the last one: Phi-3 begins a new turn


class TextStream(Protocol):
    """Gives the text that ids add; half a character waits for its other half."""

    def push(self, ids: Sequence[int]) -> str: ...


class Tokenizer(Protocol):
    """What the arena needs to know of a model's text."""

    stop_ids: tuple[int, ...]  # any of them ends an answer
    context: int  # tokens of prompt + answer
    has_template: bool  # False: a base model, the prompt is a text to be continued

    def ids(self, prompt: str, system: str = "") -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def stream(self) -> TextStream: ...


class ChatTokenizer:
    """Tokenizer and chat template of a Hugging Face folder."""

    def __init__(self, folder: Path) -> None:
        try:
            self._read(folder)
        except Exception as error:  # tokenizers raises bare Exception, templates anything
            log.warning("%s: %s: %s", folder, type(error).__name__, error)
            message = f"The tokenizer, config.json or template in {folder} is missing or broken."
            raise PreparationError(message, "Prepare or download the model again.") from error

    def _read(self, folder: Path) -> None:
        config = _read_config(folder)
        self.context: int = config["max_position_embeddings"]
        names = _read_json(folder / "tokenizer_config.json")
        if "added_tokens_decoder" not in names:  # as transformers: the older file wins then
            names |= _read_json(folder / "special_tokens_map.json")
        self._special = _named_tokens(names)
        self._tokenizer = _load(folder, names, {*self._special.values()})
        added = self._tokenizer.get_added_tokens_decoder()
        self._control = {id: token.content for id, token in added.items() if _is_control(token)}
        unheard = self._tokenizer.encode("\U0010fffd", add_special_tokens=False)  # private use
        self._unknown = {*unheard.ids}  # such characters are no typed "<unk>"
        self.stop_ids = self._ends(config, _read_json(folder / "generation_config.json"))
        self._hidden = {*self.stop_ids, *(id for id, token in added.items() if token.special)}
        source = _template_source(folder, names)
        self._template = _compile(source) if source else None
        self.has_template = self._template is not None
        self._takes_system = True
        try:  # some templates leave a system message out without a word, some refuse it (Gemma)
            self._takes_system = PROBE in self._render("x", PROBE)
        except BadInput:
            self._takes_system = False
        self._render("x", PROBE)

    def _ends(self, *configs: Mapping[str, Any]) -> tuple[int, ...]:
        found = {id for id, token in self._control.items() if token in TURN_ENDS}
        found.add(self._tokenizer.token_to_id(self._special.get("eos_token", "")))
        for value in (config.get("eos_token_id") for config in configs):
            found.update(value if isinstance(value, list) else [value])
        return tuple(sorted(found - {None}))

    def ids(self, prompt: str, system: str = "") -> list[int]:
        """The tokens every engine gets; control tokens among them are the template's own."""
        control = self._control.keys() - self._unknown
        for harmless in (self._break_found, self._break_all):
            prompt, system = harmless(prompt), harmless(system)
            ids = self._encode(prompt, system)
            neutral = self._encode(_neutral(prompt), _neutral(system))
            if [id for id in ids if id in control] == [id for id in neutral if id in control]:
                return ids
        message = "The prompt holds control tokens of this model that cannot be made harmless."
        raise BadInput(message, "Take out whatever looks like <|…|>.")

    def decode(self, ids: Sequence[int]) -> str:
        """The whole text, without stop ids and other special tokens; half a character is "�"."""
        return self._tokenizer.decode([id for id in ids if id not in self._hidden])

    def stream(self) -> TextStream:
        """A fresh incremental decoder."""
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
        except Exception as error:  # whatever the template's expressions raise
            log.info("chat template: %s", error)
            message = "The model's chat template refuses this prompt."
            raise BadInput(message, "Try another prompt or model.") from error

    def _encode(self, *said: str) -> list[int]:
        plain = not self.has_template  # a template writes its own bos_token
        return self._tokenizer.encode(self._render(*said), add_special_tokens=plain).ids

    def _break_found(self, text: str) -> str:
        """Part every control token that the tokenizer finds in `text`, until it finds none."""
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair has no ids
        for _ in range(16):  # nested and overlapping tokens take a few rounds
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            cuts = []
            for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                span = text[start:end].strip()
                unknown = id in self._unknown and span != self._control.get(id)
                if id in self._control and len(span) > 1 and not unknown:
                    cuts.append(text.index(span, start) + 1)
            if not cuts:
                break
            text = _insert_breaks(text, cuts)
        return text

    def _break_all(self, text: str) -> str:
        """Part every literal control token, and what the template's own text could complete."""
        names = "|".join(map(re.escape, self._control.values()))
        cuts = [0, len(text), *(found.start() + 1 for found in re.finditer(f"(?={names})", text))]
        return _insert_breaks(text, cuts) if text else text


class _TokenStream:
    """Holds a run of byte tokens (`<0xE2>`: Llama 2, Phi-3, Gemma) until another token ends it.

    The decoder takes the run as a whole: one bad byte turns also the good ones before to "�".
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, hidden: set[int]) -> None:
        self._tokenizer = tokenizer
        self._hidden = hidden
        self._bytes = {tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)}
        self._stream = DecodeStream(skip_special_tokens=False)  # they are hidden already
        self._grows = True
        self._seen: list[int] = []
        self._held: list[int] = []
        self._length = 0  # characters given out

    def push(self, ids: Sequence[int]) -> str:
        text = ""
        for id in ids:
            if id not in self._hidden and self._tokenizer.id_to_token(id) is not None:
                self._seen.append(id)
                self._held.append(id)
                text += "" if id in self._bytes else self._release()
        return text

    def _release(self) -> str:
        held, self._held = self._held, []
        try:
            text = self._stream.step(self._tokenizer, held) or "" if self._grows else self._rest()
        except Exception:  # "Invalid prefix": a decoder whose text does not only grow
            self._grows = False
            text = self._rest()
        self._length += len(text)
        return text

    def _rest(self) -> str:
        whole = self._tokenizer.decode(self._seen, skip_special_tokens=False)
        return "" if whole.endswith("\ufffd") else whole[self._length :]


class ByteTokenizer:
    """Of the fake lane: ids 0 to 255 are bytes of UTF-8, 256 ends the answer."""

    stop_ids: tuple[int, ...] = (256,)
    context = 32_768
    has_template = False

    def ids(self, prompt: str, system: str = "") -> list[int]:
        return [*(f"{system}\n\n{prompt}" if system else prompt).encode("utf-8", "replace")]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(id for id in ids if id < 256).decode("utf-8", "replace")

    def stream(self) -> TextStream:
        return _ByteStream()


class _ByteStream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Sequence[int]) -> str:
        return self._decoder.decode(bytes(id for id in ids if id < 256))


def _read_json(path: Path) -> dict[str, Any]:
    return {**json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def _read_config(folder: Path) -> dict[str, Any]:
    """config.json, or what ONNX Runtime GenAI's folders have in its place."""
    if (folder / "config.json").is_file():
        config = _read_json(folder / "config.json")
        return config.get("text_config", {}) | config
    config = _read_json(folder / "genai_config.json")["model"]
    return {"max_position_embeddings": config["context_length"], **config}


def _named_tokens(names: Mapping[str, Any]) -> dict[str, str]:
    """bos_token, eos_token and the like: what templates may speak of."""
    extra = names.get("extra_special_tokens")
    found = {name: value for name, value in names.items() if name.endswith("_token")}
    found |= extra if isinstance(extra, dict) else {}
    texts = {n: v.get("content") if isinstance(v, dict) else v for n, v in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _load(folder: Path, names: Mapping[str, Any], special: Iterable[str]) -> tokenizers.Tokenizer:
    """The tokenizer, with the tokens that only tokenizer_config.json tells of."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()  # some files cut at 512 tokens; transformers lifts that too
    tokenizer.no_padding()
    listed = sorted((int(id), entry) for id, entry in names.get("added_tokens_decoder", {}).items())
    tokenizer.add_tokens([AddedToken(**entry) for _, entry in listed])
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    missing = {text for text in special if tokenizer.token_to_id(text) is not None} - added
    tokenizer.add_tokens([AddedToken(text, special=True) for text in missing])
    return tokenizer


def _is_control(token: AddedToken) -> bool:
    """Runs of blanks, which Gemma and Phi-2 add as tokens, and single characters are plain text."""
    text = token.content.replace("▁", " ").strip()
    return len(text) > 1 or bool(text and token.special)


def _template_source(folder: Path, names: Mapping[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    source = names.get("chat_template") or ""
    named = [] if isinstance(source, str) else source
    return {entry["name"]: entry["template"] for entry in named}["default"] if named else source


def _compile(source: str) -> Any:
    """A jinja2 template, set up as in transformers, so that it renders the same text."""
    from jinja2 import TemplateError, ext, nodes, sandbox  # here: half of this module's import time

    class Generation(ext.Extension):
        tags = {"generation"}  # marks the assistant's text for training; here only a block

        def parse(self, parser: Any) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **how)  # jinja2's escapes for HTML

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def _neutral(text: str) -> str:
    """The same words, by which a template may decide ("/no_think"), and no control token."""
    words = re.sub(r"[^\w\s/]", "x", text)
    return f"{BREAK}{words}{BREAK}" if words.strip() else words


def _insert_breaks(text: str, cuts: Iterable[int]) -> str:
    places = sorted({*cuts})
    pairs = zip([0, *places], [*places, len(text)], strict=True)
    return BREAK.join(text[start:end] for start, end in pairs)
