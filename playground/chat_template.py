"""Chat templates of Hugging Face folders, rendered as in transformers (5.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.parser import Parser

Json: TypeAlias = Mapping[str, Any]  # a JSON object, as in config.json


def template_source(folder: Path, settings: Json) -> str:
    """The template of a folder with these tokenizer settings; "" where it has none."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    source = settings.get("chat_template") or ""
    if isinstance(source, str):
        return source
    return str(next(entry["template"] for entry in source if entry["name"] == "default"))


def compile_template(source: str) -> Template:
    """The template, in an environment equal to that of transformers."""
    from jinja2 import TemplateError, ext, nodes, sandbox  # here: half of this module's import time

    class Generation(ext.Extension):
        """A block that marks the assistant's text for training."""

        tags = {"generation"}

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: object, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)  # jinja2's escapes for HTML

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return environment.from_string(source)
