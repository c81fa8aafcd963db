"""What the Models tab shows, as plain values."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from playground.errors import PlaygroundError
from playground.formatting import file_size
from playground.models.catalogue import Source, resolve
from playground.models.convert import TITLES
from playground.models.inventory import Part, StoredModel
from playground.page.components import Json
from playground.page.labels import model_label
from playground.paths import home


def models_value(inventory: Sequence[StoredModel], *, owner: bool) -> Json:
    """What models.js shows: the stored models and the other presets.

    owner: may remove models, and see paths.
    """
    stored = [model for model in inventory if model.parts or model.bytes]
    used = file_size(sum(model.bytes for model in stored))
    free = file_size(shutil.disk_usage(home()).free)
    return {
        "owner": owner,
        "summary": f"{used} in total; {free} of disk space free.",
        "rows": [row(model, owner=owner) for model in stored],
        "others": [model.title for model in inventory if model not in stored],
    }


def row(stored: StoredModel, *, owner: bool) -> Json:
    """One stored model."""
    source = source_of(stored.model)
    hub = source is not None and source.remote is not None
    return {
        "model": stored.model if owner else "",
        "title": model_label(stored.model, paths=False),
        "origin": origin(source, stored.model if owner else ""),
        "hub": hub,
        "size": file_size(stored.bytes),
        "parts": [part_value(part, hub=hub) for part in stored.parts],
    }


def part_value(part: Part, *, hub: bool) -> Json:
    """One format of a model. hub: whether the model comes from the Hugging Face Hub."""
    elsewhere = "in the Hugging Face cache" if hub else "in its own folder"
    return {
        "what": f"{TITLES[part.format]} {part.precision}".strip(),
        "recipe": part.recipe,
        "size": file_size(part.bytes),
        "elsewhere": elsewhere if part.elsewhere else "",
    }


def source_of(model: str) -> Source | None:
    """What it was made from; None if that is no longer there."""
    try:
        return resolve(model)
    except PlaygroundError:
        return None


def origin(source: Source | None, model: str) -> str:
    """Where a model came from. model: "" for guests, who may not see local paths."""
    if source is None:
        return f"its source is no longer there: {model}".removesuffix(": ")
    if source.preset:
        return "from the package index"
    if source.remote:
        return f"from {source.remote.repo} on Hugging Face"
    kind = "GGUF file" if source.kind == "gguf" else "folder"
    return f"from {source.path}" if model else f"from a {kind} on this machine"
