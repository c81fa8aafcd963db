"""Components of our own: markup, script, and a JSON value that is shown as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

STATIC = Path(__file__).parent / "static"


def html(name: str, value: Any, elem_id: str | None = None) -> gr.HTML:
    """A component of its own markup and script, which shows a JSON value."""
    return gr.HTML(
        value,
        html_template=read(f"{name}/{name}.html"),
        js_on_load=read("dom.js") + read(f"{name}/{name}.js"),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=f"{name}-host",
    )


def read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
