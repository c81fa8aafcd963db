"""Lanes: which there are, and which this machine can run (ready, or why not and what to do)."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Any

from backends import ENGINES, DeviceSupport, Engine
from playground import devices, models
from playground.errors import BadInput
from playground.workers import npu_environment

NUMBERED = ("GPU", "DML", "CUDA", "XPU")  # kinds of which a machine may have several


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
    def kind(self) -> str:
        """The kind of its device: GPU of GPU.1."""
        return self.device.partition(".")[0]

    @property
    def runs_on_cpu(self) -> bool:
        """Whether the CPU does the work, as NPU-on-CPU says of itself."""
        return self.kind in ("CPU", "NPU-on-CPU")

    @property
    def support(self) -> DeviceSupport:
        return self.engine.devices[self.kind]

    @property
    def format(self) -> str:
        """Of the model folder it reads."""
        return self.support.format

    @property
    def needs_model(self) -> bool:
        return self.format != "none"


@dataclass(frozen=True)
class LaneStatus:
    """ready | needs-model | not-installed | unavailable; why, and what to do about it."""

    status: str
    reason: str = ""
    fix: str = ""
    model_path: str | None = None


def parse(name: str) -> Lane:
    """`fake`, `onnx-genai:CPU` and `onnx-genai:CPU:int8` all name a lane, whether or not this
    machine has its device. GPU is GPU.0, as OpenVINO counts, and DML.0 is DML, the first adapter.

    Raises BadInput for a lane that no machine could have.
    """
    backend, *rest = name.strip().split(":")
    engine = ENGINES.get(backend)
    if engine is not None and len(rest) <= 2:
        device = canonical(rest[0] if rest else next(iter(engine.devices)))
        reads = engine.devices.get(device.partition(".")[0])
        if reads and is_device(device):
            lane = Lane(backend, device, rest[1] if len(rest) == 2 else reads.precisions[0])
            if lane.precision in reads.precisions or (
                backend == "fake" and is_pace(lane.precision)
            ):
                return lane
    known = ", ".join(
        f"{backend}:{kind}:{precision}"
        for backend, engine in ENGINES.items()
        for kind, reads in engine.devices.items()
        for precision in reads.precisions
    )
    raise BadInput(f"There is no lane “{name}”.", f"Choose from: {known}.")


def parse_all(names: list[str]) -> list[Lane]:
    """The lanes named, each once, in the order given."""
    if not names:
        raise BadInput("No lane is chosen.", "Choose at least one lane.")
    return list(dict.fromkeys(parse(name) for name in names))


def canonical(device: str) -> str:
    """One name for the first device of its kind."""
    if device == "GPU":
        return "GPU.0"
    return device.removesuffix(".0") if device.startswith(("DML", "CUDA", "XPU")) else device


def is_device(device: str) -> bool:
    """Whether its number, where it has one, is one that a device may have."""
    kind, dot, number = device.partition(".")
    return not dot or (kind in NUMBERED and re.fullmatch(r"0|[1-9]\d?", number) is not None)


def is_pace(precision: str) -> bool:
    """Whether a fake lane can run at it: "30tps"."""
    digits = precision.removesuffix("tps")
    return precision.endswith("tps") and digits.isdecimal() and 0 < int(digits) <= 100_000


def every_lane() -> list[Lane]:
    """Every lane of the registry, on each device that this machine has of a kind, or on a first
    one that it lacks. Waits for the devices to be known."""
    found = devices.discover()
    return [
        Lane(backend, device, precision)
        for backend, engine in ENGINES.items()
        for kind, reads in engine.devices.items()
        for device in devices_of(backend, kind, found) or [canonical(kind)]
        for precision in reads.precisions
    ]


def devices_of(backend: str, kind: str, found: devices.Discovery) -> list[str]:
    """The devices of a kind that an engine has on this machine."""
    if kind in ("CPU", "NPU-on-CPU"):
        return [kind]
    if backend == "npu-library":
        return [kind] if found.npu_library else []
    listed = {"DML": found.dml, "CUDA": found.torch, "XPU": found.torch}.get(kind, found.openvino)
    return [canonical(each.name) for each in listed if each.name.partition(".")[0] == kind]


def gauge_key(lane: Lane) -> str:
    """What the gauges know its GPU by, as far as the engine tells; "" otherwise."""
    if lane.kind not in NUMBERED:
        return ""
    found = devices.discovered()
    if found is None:
        return ""
    listed = found.dml if lane.kind == "DML" else found.openvino
    mine = (each for each in listed if canonical(each.name) == lane.device)
    return next((each.luid for each in mine if each.luid), "")


def default_lanes() -> list[Lane]:
    """What a first start shows: of each installed engine its lane on the best device that this
    machine has, or the fake one. Waits for the devices to be known."""
    found, chosen = devices.discover(), []
    for backend, engine in ENGINES.items():
        if backend == "fake" or not installed(engine):
            continue
        there = [each for kind in engine.best for each in devices_of(backend, kind, found)]
        chosen += [parse(f"{backend}:{device}") for device in there[:1]]
    return chosen or [parse("fake")]


def status(lane: Lane, model: str) -> LaneStatus:
    """What this machine can do about a lane with a model; no SDK is imported here. Waits for the
    devices to be known where the lane is not on the CPU."""
    missing = missing_device(lane)
    if missing:  # before a missing package: installing it would not help
        return LaneStatus("unavailable", *missing)
    if not installed(lane.engine):
        return not_installed(lane.engine)
    if not lane.needs_model:
        return LaneStatus("ready")
    if obstacle := models.obstacle(model, lane.format):
        return LaneStatus("unavailable", *obstacle)
    folder = str(models.lane_folder(model, lane.format, lane.precision))
    if models.is_ready(model, lane.format, lane.precision):
        return LaneStatus("ready", model_path=folder)
    return LaneStatus(
        "needs-model",
        f"{models.title(model)} is not yet made for it at {lane.precision}.",
        f"Make it with: python -m playground prepare --lanes {lane.name} (a run does so too).",
        folder,
    )


def missing_device(lane: Lane) -> tuple[str, str] | None:
    """Why this machine cannot run the lane whatever is installed, and what to do."""
    if lane.runs_on_cpu and lane.backend != "npu-library":
        return None
    found = devices.discover()
    if lane.backend == "npu-library" and lane.kind == "CPU":
        if found.npu_library:
            return (
                "The library takes the NPU where there is one, as here.",
                "Use npu-library:NPU:fp16, or another engine on the CPU.",
            )
        return None
    if lane.device in devices_of(lane.backend, lane.kind, found):
        return None
    if lane.backend == "npu-library" and any(each.name == "NPU" for each in found.openvino):
        if found.npu_library is None:
            return None  # it is only not installed yet
        return (
            "OpenVINO finds the NPU, but this library, which is older, does not.",
            "Use openvino-genai:NPU:int4.",
        )
    return devices.why_not("NPU-LIBRARY" if lane.backend == "npu-library" else lane.device)


def not_installed(engine: Engine) -> LaneStatus:
    if engine.own_environment:
        return LaneStatus(
            "not-installed",
            f"The {engine.title} needs an environment of its own, .venv-npu, not made yet.",
            npu_environment.FIX,
        )
    return LaneStatus(
        "not-installed",
        f"The package {engine.package} is not installed.",
        f"Install it with: python run.py setup, or pip install {engine.package}.",
    )


def installed(engine: Engine) -> bool:
    """Whether its package can be found, without importing it."""
    if engine.own_environment:
        return npu_environment.ready()
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
