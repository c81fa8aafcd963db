"""What the Models tab shows, as plain values."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from playground.errors import PlaygroundError
from playground.formatting import file_size
from playground.models.catalogue import Source, resolve
from playground.models.convert import TITLES
from playground.models.inventory import Part, StoredModel
from playground.page.compare import view
from playground.paths import home


def table(items: Sequence[StoredModel], *, owner: bool) -> dict[str, Any]:
    """What is there, and the presets of which nothing is. owner: may remove, and see paths."""
    there = [item for item in items if item.parts or item.bytes]
    free = file_size(shutil.disk_usage(home()).free)
    return {
        "owner": owner,
        "summary": f"{file_size(sum(item.bytes for item in there))} in all; {free} of disk free.",
        "rows": [row(item, owner=owner) for item in there],
        "others": [item.title for item in items if item not in there],
    }


def row(item: StoredModel, *, owner: bool) -> dict[str, Any]:
    source = source_of(item.model)
    hub = source is not None and source.remote is not None
    return {
        "model": item.model if owner else "",
        "title": view.model_label(item.model, paths=False),
        "origin": origin(source, item.model if owner else ""),
        "hub": hub,
        "size": file_size(item.bytes),
        "parts": [part(each, hub=hub) for each in item.parts],
    }


def part(found: Part, *, hub: bool) -> dict[str, Any]:
    elsewhere = "in the Hugging Face cache" if hub else "in its own folder"
    return {
        "what": f"{TITLES[found.format]} {found.precision}".strip(),
        "recipe": found.recipe,
        "size": file_size(found.bytes),
        "elsewhere": elsewhere if found.elsewhere else "",
    }


def source_of(model: str) -> Source | None:
    """None where what it was made from is no longer there."""
    try:
        return resolve(model)
    except PlaygroundError:
        return None


def origin(source: Source | None, model: str) -> str:
    """Where a model came from. model: "" for those who may not see paths of this machine."""
    if source is None:
        return f"its source is no longer there: {model}".removesuffix(": ")
    if source.preset:
        return "from the package index"
    if source.remote:
        return f"from {source.remote.repo} on Hugging Face"
    kind = "GGUF file" if source.kind == "gguf" else "folder"
    return f"from {source.path}" if model else f"from a {kind} of this machine"
