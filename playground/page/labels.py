"""What the page calls lanes, models and their states."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from playground import models
from playground.lanes.lane import Lane

# Of a lane and of its run.
STATES = {
    "idle": "not loaded",
    "wait": "waiting",
    "fetch": "downloading",
    "convert": "converting",
    "load": "loading",
    "ready": "ready",
    "failed": "failed",
    "waiting": "waiting",
    "running": "answering",
    "ok": "done",
    "stopped": "stopped",
    "error": "failed",
    "unavailable": "unavailable",
}
# Why an answer ended.
FINISH_REASONS = {
    "stop": "the answer is complete",
    "length": "reached max new tokens",
    "context": "the model's context is full",
    "stopped": "stopped by you",
}


def lane_label(lane: Lane) -> str:
    """ "OpenVINO GenAI · CPU · int8"."""
    return f"{lane.engine.title} · {lane.device} · {lane.precision}"


def lane_choices(lanes: Iterable[Lane]) -> list[tuple[str, str]]:
    """Label and name of each lane, without duplicates, for a drop-down list."""
    return [(lane_label(lane), lane.name) for lane in dict.fromkeys(lanes)]


def model_label(name: str, *, paths: bool) -> str:
    """A preset's name, a hub id, or the name of a local file or folder.

    paths: whether to add the folder that contains it.
    """
    path = Path(name)
    if name in models.PRESETS or not path.is_absolute():
        return name
    return f"{path.name} · {path.parent}" if paths else path.name


def model_choices(names: Iterable[str], *, paths: bool) -> list[tuple[str, str]]:
    """Label and name of each model, without duplicates, for a drop-down list."""
    return [(model_label(name, paths=paths), name) for name in dict.fromkeys(names)]
