"""Lanes: which there are, which this machine can run, and what is missing for the others."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import asdict, dataclass
from typing import TypedDict, cast

from backends import ENGINES, DeviceSupport, Engine
from playground import devices, models
from playground.errors import BadInput
from playground.workers import npu_environment

# Tokens of prompt and answer for which an engine with static shapes can be loaded. Each is compiled
# separately, so there are few. Default: the middle one, unless a prompt needs more.
CAPACITIES = (256, 1024, 4096)
NUMBERED = ("GPU", "DML", "CUDA", "XPU")  # kinds of devices with a number


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
        """The kind of its device, such as GPU for GPU.1."""
        return self.device.partition(".")[0]

    @property
    def runs_on_cpu(self) -> bool:
        """Whether the CPU does the work; in NPU-on-CPU it runs the NPU's pipeline."""
        return self.kind in ("CPU", "NPU-on-CPU")

    @property
    def support(self) -> DeviceSupport:
        return self.engine.devices[self.kind]

    @property
    def format(self) -> str:
        """The format of the model folder that it reads."""
        return self.support.format

    @property
    def needs_model(self) -> bool:
        return self.format != "none"


@dataclass(frozen=True)
class LaneStatus:
    """Whether this machine can run a lane. status: ready | needs-model | not-installed |
    unavailable; reason and fix: a sentence each where it is not ready."""

    status: str
    reason: str = ""
    fix: str = ""
    model_path: str | None = None


def parse(name: str) -> Lane:
    """The lane of a name such as `fake`, `onnx-genai:CPU` or `onnx-genai:CPU:int8`, whether or not
    this machine has its device. GPU means GPU.0, as in OpenVINO; DML.0 means DML.

    Raises BadInput for a lane that does not exist on any machine.
    """
    backend, *rest = name.strip().split(":")
    engine = ENGINES.get(backend)
    if engine is not None and len(rest) <= 2:
        device = canonical(rest[0] if rest else next(iter(engine.devices)))
        support = engine.devices.get(device.partition(".")[0])
        if support and is_device(device):
            lane = Lane(backend, device, rest[1] if len(rest) == 2 else support.precisions[0])
            is_fake_speed = backend == "fake" and is_pace(lane.precision)
            if lane.precision in support.precisions or is_fake_speed:
                return lane
    choices = ", ".join(
        f"{backend}:{kind}:{precision}"
        for backend, engine in ENGINES.items()
        for kind, support in engine.devices.items()
        for precision in support.precisions
    )
    raise BadInput(f"There is no lane “{name}”.", f"Choose from: {choices}.")


def parse_all(names: list[str]) -> list[Lane]:
    """The lanes of the names, without duplicates, in this order. Raises BadInput."""
    if not names:
        raise BadInput("No lane is chosen.", "Choose at least one lane.")
    return list(dict.fromkeys(parse(name) for name in names))


def canonical(device: str) -> str:
    """The device's usual name, where the first of its kind has two (GPU and GPU.0)."""
    if device == "GPU":
        return "GPU.0"
    return device.removesuffix(".0") if device.startswith(("DML", "CUDA", "XPU")) else device


def is_device(device: str) -> bool:
    """Whether a device may have this name: GPU.1, but not CPU.1 or GPU.x."""
    kind, dot, number = device.partition(".")
    return not dot or (kind in NUMBERED and re.fullmatch(r"0|[1-9]\d?", number) is not None)


def is_pace(precision: str) -> bool:
    """Whether it is a speed of the fake lane, such as "30tps"."""
    digits = precision.removesuffix("tps")
    return precision.endswith("tps") and digits.isdecimal() and 0 < int(digits) <= 100_000


def every_lane() -> list[Lane]:
    """Every lane of every engine on each device of this machine; for a kind of device that it
    lacks, the lanes of the first one. Waits for the discovery of devices."""
    discovery = devices.discover()
    return [
        Lane(backend, device, precision)
        for backend, engine in ENGINES.items()
        for kind, support in engine.devices.items()
        for device in devices_of(backend, kind, discovery) or [canonical(kind)]
        for precision in support.precisions
    ]


def devices_of(backend: str, kind: str, discovery: devices.Discovery) -> list[str]:
    """The devices of a kind that an engine finds on this machine."""
    if kind in ("CPU", "NPU-on-CPU"):
        return [kind]
    if backend == "npu-library":
        return [kind] if discovery.npu_library else []
    by_kind = {"DML": discovery.dml, "CUDA": discovery.torch, "XPU": discovery.torch}
    candidates = by_kind.get(kind, discovery.openvino)
    return [canonical(d.name) for d in candidates if d.name.partition(".")[0] == kind]


def capacity_for(tokens: int, context: int) -> int:
    """The smallest capacity for so many tokens, or else the largest, within the model's context."""
    fitting = (capacity for capacity in CAPACITIES if capacity >= tokens)
    return min(next(fitting, CAPACITIES[-1]), context)


def gauge_key(lane: Lane) -> str:
    """The LUID by which the gauges know the lane's GPU; "" where the engine does not tell it."""
    discovery = devices.discovered() if lane.kind in NUMBERED else None
    if discovery is None:
        return ""
    candidates = discovery.dml if lane.kind == "DML" else discovery.openvino
    luids = (d.luid for d in candidates if canonical(d.name) == lane.device and d.luid)
    return next(luids, "")


def default_lanes() -> list[Lane]:
    """The lanes that a first start shows: each installed engine on its best device of this machine,
    or else the fake lane. Waits for the discovery of devices."""
    discovery, lanes = devices.discover(), []
    for backend, engine in ENGINES.items():
        if backend == "fake" or not installed(engine):
            continue
        present = [d for kind in engine.best for d in devices_of(backend, kind, discovery)]
        lanes += [parse(f"{backend}:{device}") for device in present[:1]]
    return lanes or [parse("fake")]


def status(lane: Lane, model: str) -> LaneStatus:
    """Whether this machine can run a lane with a model, without importing an engine. Waits for the
    discovery of devices where the lane is not on the CPU."""
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
        f"{models.title(model)} is not prepared for it at {lane.precision} yet.",
        f"Prepare it with: python -m playground prepare --lanes {lane.name} (a run does so too).",
        folder,
    )


def missing_device(lane: Lane) -> tuple[str, str] | None:
    """Why the machine's devices cannot run the lane, and a fix; None where they can."""
    if lane.runs_on_cpu and lane.backend != "npu-library":
        return None
    discovery = devices.discover()
    if lane.backend == "npu-library" and lane.kind == "CPU":
        if discovery.npu_library:
            return (
                "The library always uses the NPU on a machine that has one, as this one does.",
                "Use npu-library:NPU:fp16, or another engine on the CPU.",
            )
        return None
    if lane.device in devices_of(lane.backend, lane.kind, discovery):
        return None
    if lane.backend == "npu-library" and any(d.name == "NPU" for d in discovery.openvino):
        if discovery.npu_library is None:
            return None  # only not installed yet
        return (
            "OpenVINO finds the NPU, but this library, which is older, does not.",
            "Use openvino-genai:NPU:int4.",
        )
    return devices.why_not("NPU-LIBRARY" if lane.backend == "npu-library" else lane.device)


def not_installed(engine: Engine) -> LaneStatus:
    if engine.own_environment:
        return LaneStatus(
            "not-installed",
            f"The {engine.title} needs an environment of its own, .venv-npu, which does not exist.",
            npu_environment.FIX,
        )
    return LaneStatus(
        "not-installed",
        f"The package {engine.package} is not installed.",
        f"Install it with: python run.py setup, or pip install {engine.package}.",
    )


def installed(engine: Engine) -> bool:
    """Whether the engine's package is there, without importing it."""
    if engine.own_environment:
        return npu_environment.ready()
    try:
        # This imports "optimum" for "optimum.intel", a namespace without code.
        return not engine.module or importlib.util.find_spec(engine.module) is not None
    except (ImportError, ValueError):
        return False


class LaneRow(TypedDict):
    """A lane in `lanes --json`."""

    lane: str
    backend: str
    device: str
    precision: str
    model: str
    status: str
    reason: str
    fix: str
    model_path: str | None


def table(model: str) -> list[LaneRow]:
    """Every lane of this machine with its status."""
    rows = [
        {
            "lane": lane.name,
            **asdict(lane),
            "model": model if lane.needs_model else "none",
            **asdict(status(lane, model)),
        }
        for lane in every_lane()
    ]
    return cast(list[LaneRow], rows)
