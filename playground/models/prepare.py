"""What a lane reads of a model: whether it is there, where, and how to get what is missing."""

from __future__ import annotations

import threading
from pathlib import Path

from backends.base import LoadedWeights
from playground.errors import PreparationError
from playground.models import catalogue, convert, folders
from playground.models.build import FolderBuilder
from playground.models.catalogue import TOKENIZER
from playground.models.stage import Report, raise_if_set
from playground.models.target import Target


def is_ready(model: str, model_format: str, precision: str) -> bool:
    """Whether the folder that a lane reads is there and complete."""
    return Target.of(model, model_format, precision).is_there


def lane_folder(model: str, model_format: str, precision: str) -> Path:
    """The folder that a lane reads; it may not be there yet."""
    return Target.of(model, model_format, precision).location


def tokenizer_folder(model: str) -> Path | None:
    """The folder of the model's tokenizer and chat template; None where it is not there yet."""
    source = catalogue.resolve(model)
    if source.kind in ("hf", "openvino", "onnx"):
        return source.path
    for model_format in ("hf", TOKENIZER):  # the latter only for a hub's model
        target = Target(source, model_format, "")
        if target.is_there:
            return target.location
    return None


def fingerprint(model: str) -> str:
    """Changes when the files that the model is built from change, such as a replaced GGUF file."""
    return Target.of(model, "hf", "").fingerprint


def weights(model: str, model_format: str, precision: str) -> LoadedWeights | None:
    """The weights that a lane reads; None where they are not there yet."""
    target = Target.of(model, model_format, precision)
    if not target.is_there:
        return None
    manifest = target.manifest
    if manifest is None:  # the user's own folder
        from playground.models import describe  # not above: runpy warns about imported modules

        contents = describe.hf(target.location)
        recipe, size, read = contents.recipe, contents.weight_bytes, contents.read_bytes
    else:
        recipe, size, read = manifest.full_recipe, manifest.weight_bytes, manifest.read_bytes
    return {"recipe": recipe, "bytes": size, "read_bytes": read}


def prepare(
    model: str,
    model_format: str,
    precision: str,
    report: Report = lambda stage: None,
    cancel: threading.Event | None = None,
) -> Path:
    """Download and build whatever a lane lacks and return the folder that it reads.

    Waits for another thread or process that is building the same folder. Raises PreparationError,
    BadInput, and Cancelled soon after `cancel` is set.
    """
    target = Target.of(model, model_format, precision)
    if reason := obstacle(model, model_format):
        raise PreparationError(*reason)
    raise_if_set(cancel)
    for step in target.steps():
        FolderBuilder(step, report, cancel).build()
        manifest = step.manifest
        if manifest is not None and not manifest.at:
            folders.check_built(step.folder, manifest)
    if target.source.kind == "hf":
        folders.check_source(target.hf.location)
    return target.location


def obstacle(model: str, model_format: str) -> tuple[str, str] | None:
    """Why the model can never be converted to that format, and a fix; None where it can."""
    source = catalogue.resolve(model)
    if source.kind not in ("openvino", "onnx"):
        return None
    assert source.path is not None
    if convert.family(model_format) != source.kind:
        return (
            f"{source.title} is a folder in {convert.TITLES[source.kind]} format, "
            f"which cannot be converted to {convert.TITLES[model_format]}.",
            "Give the model it was made from, or choose a lane that reads this format.",
        )
    for_directml = model_format == "onnx-dml"
    if source.kind == "onnx" and catalogue.is_for_directml(source.path) != for_directml:
        device = "CPU" if for_directml else "DML"
        return (
            f"{source.title} was built for another device than this lane's.",
            f"Choose onnx-genai:{device} for it.",
        )
    return None
