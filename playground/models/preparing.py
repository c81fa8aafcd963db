"""What a lane reads of a model: whether it is there, where, and making whatever is missing."""

from __future__ import annotations

import threading
from pathlib import Path

from playground.errors import PreparationError
from playground.models import catalogue, convert, folders
from playground.models.catalogue import TOKENIZER, Source
from playground.models.making import Making, is_current
from playground.models.stage import Report, raise_if_set


def is_ready(model: str, format: str, precision: str) -> bool:
    """Whether what the lane reads is there and complete."""
    catalogue.check_format(format, precision)
    return _is_there(catalogue.resolve(model), format, precision)


def lane_folder(model: str, format: str, precision: str) -> Path:
    """What a lane reads; it may not be there yet."""
    catalogue.check_format(format, precision)
    return _folder(catalogue.resolve(model), format, precision)


def tokenizer_folder(model: str) -> Path | None:
    """Where the model's tokenizer and chat template lie; None when they are not there yet."""
    source = catalogue.resolve(model)
    if source.kind in ("hf", "openvino", "onnx"):
        return source.path
    for format in ("hf", TOKENIZER) if source.kind == "hub" else ("hf",):
        if _is_there(source, format, ""):
            return _folder(source, format, "")
    return None


def weights(model: str, format: str, precision: str) -> dict[str, str | int] | None:
    """The lane's weights: recipe, bytes of the weight files, and how many of them one token needs
    (`read_bytes`: without a table that is only looked up in). None where nothing is made yet."""
    source = catalogue.resolve(model)
    if not _is_there(source, format, precision):
        return None
    made = folders.read_manifest(catalogue.made_folder(source, format, precision))
    if made is None:
        from playground.models import describe  # its own process else: runpy warns if imported

        found = describe.hf(_folder(source, format, precision))
        recipe = describe.recipe(found.tensors)
        return {"recipe": recipe, "bytes": found.weight_bytes, "read_bytes": found.read_bytes}
    recipe = made.recipe + (f", as published in {made.published}" if made.published else "")
    return {"recipe": recipe, "bytes": made.weight_bytes, "read_bytes": made.read_bytes}


def validate(model: str, format: str, precision: str) -> None:
    """Raises PreparationError with a fix where a folder is damaged; one not yet made is fine."""
    source = catalogue.resolve(model)
    folder = catalogue.made_folder(source, format, precision)
    made = folders.read_manifest(folder)
    if made is not None and not made.at:
        folders.check_made(folder, made)
    elif source.kind == "hf":
        folders.check_source(_folder(source, "hf", ""))


def prepare(
    model: str,
    format: str,
    precision: str,
    report: Report = lambda stage: None,
    cancel: threading.Event | None = None,
) -> Path:
    """Make whatever the lane still lacks and return the folder that it reads.

    Called again while another thread or process makes the same folder, it waits for it. Raises
    PreparationError, BadInput, and Cancelled soon after `cancel` is set.
    """
    catalogue.check_format(format, precision)
    source = catalogue.resolve(model)
    if reason := obstacle(model, format):
        raise PreparationError(*reason)
    raise_if_set(cancel)
    for step in steps(source, format, precision):
        Making(source, *step, report, cancel).make()
        validate(model, *step)
    if source.kind == "hf":
        validate(model, "hf", "")
    return _folder(source, format, precision)


def steps(source: Source, format: str, precision: str) -> list[tuple[str, str]]:
    """What must be there for a lane, in this order, as formats and precisions."""
    wanted = [] if format == "hf" else [(format, precision)]
    if source.kind == "hf":
        return wanted
    if source.kind in ("openvino", "onnx"):
        return [(format, precision)]
    if source.kind == "hub":  # whatever the lane reads: prompts are made with its tokenizer
        if (format, precision) in source.published:
            return [(TOKENIZER, ""), *wanted]
        return [(TOKENIZER, ""), ("hf", ""), *wanted]
    return [("hf", ""), *wanted]


def obstacle(model: str, format: str) -> tuple[str, str] | None:
    """Why this model can never be had in that format, and what to do; None where it can."""
    source = catalogue.resolve(model)
    if source.kind not in ("openvino", "onnx"):
        return None
    assert source.path is not None
    if convert.family(format) != source.kind:
        return (
            f"{source.title} is a folder in {convert.TITLES[source.kind]}'s format, "
            f"which cannot be turned into {convert.TITLES[format]}'s.",
            "Give the model it was made from, or choose a lane that reads this format.",
        )
    if source.kind == "onnx" and catalogue.is_for_directml(source.path) != (format == "onnx-dml"):
        device = "CPU" if format == "onnx-dml" else "DML"
        return (
            f"{source.title} was built for another device than this lane's.",
            f"Choose onnx-genai:{device} for it.",
        )
    return None


def _folder(source: Source, format: str, precision: str) -> Path:
    if source.path is not None and convert.family(format) == source.kind:
        return source.path
    folder = catalogue.made_folder(source, format, precision)
    made = folders.read_manifest(folder)
    return Path(made.at) if made is not None and made.at else folder


def _is_there(source: Source, format: str, precision: str) -> bool:
    if source.kind == "hf" and format == "hf":
        return True
    made = folders.read_manifest(catalogue.made_folder(source, format, precision))
    return made is not None and is_current(made, source, format, precision)
