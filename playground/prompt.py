"""Prompt text to token ids and back, once in the parent for every engine.

The chat template is rendered as transformers renders it (transformers 5.5,
`utils/chat_template_utils.py`), without transformers or torch: `tokenizers` and `jinja2` only,
both imported on first use. What a person types never becomes a control token: a typed
`<|im_end|>` would end the user's turn and let the text speak for the system
(huggingface/transformers#29279).
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from playground.errors import BadInput, PreparationError

if TYPE_CHECKING:
    import jinja2
    import tokenizers

log = logging.getLogger(__name__)

BREAK = "\u200b"  # zero width space: parts a control token, and a reader does not see it
ROUNDS = 16  # of breaking up; nested and overlapping tokens take a few
UNFINISHED = "\ufffd"  # what a decoder shows for half a character
PROBE = "xyzzy"
UNKNOWN = "\U0010fffd"  # private use: no vocabulary holds it
# End of turn in the families people run, Phi-3's <|assistant|> included, for folders whose
# generation_config.json is missing or names the end of text only.
ENDS = {"<|im_end|>", "<|end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"}
ENDS |= {"<end_of_turn>", "</s>", "<|assistant|>"}


class TextStream(Protocol):
    """The answer's text as its ids arrive."""

    def push(self, ids: Sequence[int]) -> str:
        """The text that these ids add; half a character waits for its other half."""


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
        config = _read_json(folder / "config.json")
        config = (config.get("text_config") or {}) | config
        names = _read_json(folder / "tokenizer_config.json")
        if "added_tokens_decoder" not in names:  # as transformers: the older file wins then
            names |= _read_json(folder / "special_tokens_map.json")
        self._special = _named_tokens(names)
        self._tokenizer = _load(folder / "tokenizer.json")
        _add_missing(self._tokenizer, names, self._special)

        added = self._tokenizer.get_added_tokens_decoder()
        self._control = {id: token.content for id, token in added.items() if _is_control(token)}
        self._unknown = {*self._tokenizer.encode(UNKNOWN, add_special_tokens=False).ids}
        self.context = config.get("max_position_embeddings", config.get("n_positions"))
        if not isinstance(self.context, int):
            raise _unreadable(folder, "config.json does not tell how many tokens it takes")
        self.stop_ids = self._ends(config, _read_json(folder / "generation_config.json"))
        self._hidden = {*self.stop_ids, *(id for id, token in added.items() if token.special)}

        source = _template_source(folder, names)
        self.has_template = bool(source)
        self._takes_system = True
        try:
            self._template = _compile(source) if source else None
            self._render(PROBE, "")
        except Exception as error:
            raise _unreadable(folder, "its chat template is broken", error) from error
        self._takes_system = self._shows_system()

    def ids(self, prompt: str, system: str = "") -> list[int]:
        """The tokens every engine gets; control tokens among them are the template's own."""
        for harmless in (self._break_found, self._break_all):
            prompt, system = harmless(prompt), harmless(system)
            ids = self._encode(prompt, system)
            # Words stay, so that a template which looks for some ("/no_think") acts the same.
            neutral = self._encode(_neutral(prompt), _neutral(system))
            if self._controls(ids) == self._controls(neutral):
                return ids
        raise BadInput(
            "The prompt holds control tokens of this model that cannot be made harmless.",
            "Take out whatever looks like <|…|>.",
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The whole text, without stop ids and other special tokens; half a character is "�"."""
        return self._tokenizer.decode([id for id in ids if id not in self._hidden])

    def stream(self) -> TextStream:
        """A fresh incremental decoder."""
        return _TokenStream(self._tokenizer, self._hidden)

    def _ends(self, *configs: Mapping[str, Any]) -> tuple[int, ...]:
        found = {id for id, token in self._control.items() if token in ENDS}
        found.add(self._tokenizer.token_to_id(self._special.get("eos_token", "")))
        for value in (config.get("eos_token_id") for config in configs):
            found.update(value if isinstance(value, list) else [value])
        return tuple(sorted(found - {None}))

    def _shows_system(self) -> bool:
        """Some templates refuse a system message (Gemma), some leave it out without a word."""
        try:
            return PROBE in self._render("x", PROBE)
        except BadInput:
            return False

    def _render(self, prompt: str, system: str) -> str:
        if system and not (self._template and self._takes_system):
            prompt, system = f"{system}\n\n{prompt}", ""
        if self._template is None:
            return prompt
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})
        try:
            return self._template.render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=True,
                **self._special,
            )
        except Exception as error:  # templates raise whatever their expressions raise
            log.warning("chat template: %s", error)
            raise BadInput("The model's chat template refuses this prompt.", str(error)) from error

    def _encode(self, prompt: str, system: str) -> list[int]:
        text = self._render(prompt, system)
        return self._tokenizer.encode(text, add_special_tokens=not self.has_template).ids

    def _controls(self, ids: Iterable[int]) -> list[int]:
        return [id for id in ids if id in self._control and id not in self._unknown]

    def _break_found(self, text: str) -> str:
        """Part every control token that the tokenizer finds in `text`, until it finds none."""
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair has no ids
        for _ in range(ROUNDS):
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
    """Text of token ids as they come.

    A run of byte tokens (`<0xE2>`, the byte fallback of Llama 2, Phi-3 and Gemma) is held until
    another token ends it: the decoder takes the run as a whole, and one bad byte turns all of
    it to "�", also the characters that were good so far.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, hidden: set[int]) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._hidden = hidden
        self._bytes = {tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)}
        self._stream: Any = DecodeStream(skip_special_tokens=False)
        self._seen: list[int] = []
        self._held: list[int] = []
        self._length = 0  # characters given out

    def push(self, ids: Sequence[int]) -> str:
        shown = (id for id in ids if id not in self._hidden)
        return "".join(self._add(id) for id in shown if self._tokenizer.id_to_token(id) is not None)

    def _add(self, id: int) -> str:
        self._seen.append(id)
        self._held.append(id)
        if id in self._bytes:
            return ""
        text = self._step()
        self._held.clear()
        self._length += len(text)
        return text

    def _step(self) -> str:
        if self._stream is not None:
            try:
                return self._stream.step(self._tokenizer, self._held) or ""
            except Exception as error:  # a decoder whose text does not only grow
                log.debug("decode stream: %s", error)
                self._stream = None
        whole = self._tokenizer.decode(self._seen, skip_special_tokens=False)
        return "" if whole.endswith(UNFINISHED) else whole[self._length :]


class ByteTokenizer:
    """Of the fake lane: ids 0 to 255 are bytes of UTF-8, 256 ends the answer."""

    stop_ids: tuple[int, ...] = (256,)
    context = 32_768
    has_template = False

    def ids(self, prompt: str, system: str = "") -> list[int]:
        text = f"{system}\n\n{prompt}" if system else prompt
        return list(text.encode("utf-8", "replace"))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(id for id in ids if id < 256).decode("utf-8", "replace")

    def stream(self) -> TextStream:
        return _ByteStream()


class _ByteStream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Sequence[int]) -> str:
        return self._decoder.decode(bytes(id for id in ids if id < 256))


def _unreadable(folder: Path, why: str, error: Exception | None = None) -> PreparationError:
    log.warning("%s: %s: %s", folder, why, error)
    return PreparationError(
        f"The model in {folder} cannot be used: {why}.", "Prepare or download the model again."
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path.parent, f"{path.name} cannot be read", error) from error
    if not isinstance(value, dict):
        raise _unreadable(path.parent, f"{path.name} is not a JSON object")
    return value


def _load(path: Path) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer

    if not path.is_file():
        raise _unreadable(path.parent, f"there is no {path.name}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise _unreadable(path.parent, f"{path.name} cannot be read", error) from error
    tokenizer.no_truncation()  # some files cut at 512 tokens, transformers lifts that too
    tokenizer.no_padding()
    return tokenizer


def _named_tokens(names: Mapping[str, Any]) -> dict[str, str]:
    """bos_token, eos_token and the like: what templates may speak of."""
    extra = names.get("extra_special_tokens")
    found = {name: value for name, value in names.items() if name.endswith("_token")}
    found |= extra if isinstance(extra, dict) else {}
    texts = {n: v.get("content") if isinstance(v, dict) else v for n, v in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _add_missing(
    tokenizer: tokenizers.Tokenizer, names: Mapping[str, Any], special: Mapping[str, str]
) -> None:
    """Tokens that only tokenizer_config.json tells of; transformers adds them on loading."""
    from tokenizers import AddedToken

    listed = sorted((int(id), entry) for id, entry in names.get("added_tokens_decoder", {}).items())
    tokenizer.add_tokens([AddedToken(**entry) for _, entry in listed])
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    missing = [text for text in dict.fromkeys(special.values()) if text not in known]
    tokenizer.add_tokens([AddedToken(text, special=True) for text in missing])


def _is_control(token: tokenizers.AddedToken) -> bool:
    """Runs of blanks, which Gemma and Phi-2 add as tokens, and single characters are plain text."""
    text = token.content.replace("▁", " ").strip()
    return len(text) > 1 or bool(text and token.special)


def _template_source(folder: Path, names: Mapping[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    source = names.get("chat_template") or ""
    if isinstance(source, list):
        source = {entry["name"]: entry["template"] for entry in source}.get("default", "")
    return source


def _compile(source: str) -> jinja2.Template:
    """As transformers does, so that every model's template renders the same text."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks the assistant's text for training; here it is only a block."""

        tags = {"generation"}

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: Any = None,
        separators: Any = None,
        **more: Any,
    ) -> str:  # jinja2's own escapes for HTML
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, **more
        )

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda format: datetime.now().strftime(format)
    return environment.from_string(source)


def _neutral(text: str) -> str:
    """The same words without the punctuation that control tokens are made of."""
    return re.sub(r"[^\w\s/]", "x", text)


def _insert_breaks(text: str, cuts: Iterable[int]) -> str:
    places = sorted({*cuts})
    pairs = zip([0, *places], [*places, len(text)], strict=True)
    return BREAK.join(text[start:end] for start, end in pairs)
