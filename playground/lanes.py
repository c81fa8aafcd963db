"""Lanes: which there are, and which this machine can run (ready, or why not and what to do)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from backends import ENGINES, Engine
from playground import models
from playground.errors import BadInput


@dataclass(frozen=True)
class Lane:
    """One column: an engine on a device at a precision, written `openvino-genai:CPU:int8`."""

    backend: str
    device: str
    precision: str

    @property
    def name(self) -> str:
        return f"{self.backend}:{self.device}:{self.precision}"

    @property
    def engine(self) -> Engine:
        return ENGINES[self.backend]

    @property
    def needs_model(self) -> bool:
        return self.engine.format != "none"


@dataclass(frozen=True)
class Status:
    """ready | needs-model | not-installed | unavailable; why, and what to do about it."""

    status: str
    reason: str = ""
    fix: str = ""
    model_path: str | None = None


def parse(name: str) -> Lane:
    """`fake`, `onnx-genai:CPU` and `onnx-genai:CPU:int8` all name a lane.

    Raises BadInput for a lane that no machine could have.
    """
    backend, *rest = name.strip().split(":")
    engine = ENGINES.get(backend)
    if engine is not None and len(rest) <= 2:
        device = rest[0] if rest else "CPU"
        precision = rest[1] if len(rest) == 2 else engine.precisions[0]
        lane = Lane(backend, device, precision)
        if lane in every_lane() or (backend == "fake" and is_pace(precision) and device == "CPU"):
            return lane
    known = ", ".join(lane.name for lane in every_lane())
    raise BadInput(f"There is no lane “{name}”.", f"Choose from: {known}.")


def parse_all(names: list[str]) -> list[Lane]:
    """The lanes named, each once, in the order given."""
    if not names:
        raise BadInput("No lane is chosen.", "Choose at least one lane.")
    return list(dict.fromkeys(parse(name) for name in names))


def is_pace(precision: str) -> bool:
    """Whether a fake lane can run at it: "30tps"."""
    digits = precision.removesuffix("tps")
    return precision.endswith("tps") and digits.isdecimal() and 0 < int(digits) <= 100_000


def every_lane() -> list[Lane]:
    """Every lane that some machine could have, in the order of the registry."""
    return [
        Lane(backend, "CPU", precision)
        for backend, engine in ENGINES.items()
        for precision in engine.precisions
    ]


def default_lanes() -> list[Lane]:
    """What a first start shows: the default lane of each installed real engine, or the fake one."""
    lanes = [parse(name) for name, engine in ENGINES.items() if engine.format != "none"]
    return [lane for lane in lanes if installed(lane.engine)] or [parse("fake")]


def status(lane: Lane, model: str) -> Status:
    """What this machine can do about a lane with a model; a look at files, no SDK is imported."""
    engine = lane.engine
    if not installed(engine):
        return Status(
            "not-installed",
            f"The package {engine.package} is not installed.",
            f"Install it with: python run.py setup, or pip install {engine.package}.",
        )
    if not lane.needs_model:
        return Status("ready")
    folder = str(models.lane_folder(model, engine.format, lane.precision))
    if models.is_ready(model, engine.format, lane.precision):
        return Status("ready", model_path=folder)
    return Status(
        "needs-model",
        f"{model} is not yet made for it at {lane.precision}.",
        f"Make it with: python -m playground prepare --lanes {lane.name} (a run does so too).",
        folder,
    )


def installed(engine: Engine) -> bool:
    """Whether its package can be found, without importing it."""
    try:
        # Looking for "optimum.intel" imports "optimum", a namespace without code, and no more.
        return not engine.module or importlib.util.find_spec(engine.module) is not None
    except (ImportError, ValueError):
        return False


def table(model: str) -> list[dict[str, Any]]:
    """Every lane of this machine with its status: what `lanes --json` prints."""
    rows = []
    for lane in every_lane():
        found = status(lane, model)
        rows.append(
            {
                "lane": lane.name,
                "backend": lane.backend,
                "device": lane.device,
                "precision": lane.precision,
                "model": model if lane.needs_model else "none",
                "status": found.status,
                "reason": found.reason,
                "fix": found.fix,
                "model_path": found.model_path,
            }
        )
    return rows
