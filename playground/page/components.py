"""Components with markup and a script of their own, and what the events of all tabs share."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

STATIC = Path(__file__).parent / "static"

# Handlers return new values by component; a component that is left out stays as it is.
Updates = dict[Block, Any]
# What a handler gets whose inputs are a set: each component's value.
Inputs = Mapping[Block, Any]

# What a component's script shows. Its keys are those that the script reads.
Json = dict[str, Any]
# Options of an event that answers at once.
QUIET: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}


def html(name: str, value: Json | None = None, elem_id: str = "") -> gr.HTML:
    """The component of static/`name`/, which shows a JSON value as text.

    Not gr.Markdown: tags, links and lists in texts of models, hubs and paths must stay text.
    """
    return gr.HTML(
        value,
        html_template=read(f"{name}/{name}.html"),
        js_on_load=read("dom.js") + read(f"{name}/{name}.js"),
        apply_default_css=False,
        elem_id=elem_id or None,
        elem_classes=f"{name}-host",
    )


def read(name: str) -> str:
    """A file of the static folder."""
    return (STATIC / name).read_text(encoding="utf-8")


def model_dropdown(
    elem_id: str, label: str = "Model", *, allow_custom_value: bool = False
) -> gr.Dropdown:
    """A list of models, which is filled when a page arrives."""
    return gr.Dropdown(
        [],
        value=None,
        allow_custom_value=allow_custom_value,
        label=label,
        scale=4,
        min_width=260,
        elem_id=elem_id,
    )


def lane_dropdown(
    elem_id: str, label: str = "Lanes", *, max_choices: int | None = None
) -> gr.Dropdown:
    """A list of lanes, which is filled when a page arrives."""
    return gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        max_choices=max_choices,
        label=label,
        scale=8,
        min_width=260,
        elem_id=elem_id,
    )


def event_data(event: gr.EventData) -> dict[str, object]:
    """What a script sent with its event; an empty dictionary for anything else."""
    return event._data if isinstance(event._data, dict) else {}


_numbers = itertools.count(1)


def download(name: str, content: bytes) -> Json:
    """A file for the owner's browser to save, in base64.

    Not gr.DownloadButton: its copy on disk would outlive the deletion of a run, and anyone who
    knows its address could fetch it. The number makes the same file twice a new value.
    """
    data = base64.b64encode(content).decode("ascii")
    return {"number": next(_numbers), "name": name, "data": data}
