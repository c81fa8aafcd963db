"""Asks each engine in a child process which devices it finds, once for the whole program."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import runpy
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from playground.devices import windows
from playground.devices.hardware import directml_adapters, hardware
from playground.devices.records import Device, Discovery, Hardware
from playground.workers import npu_environment, subprocesses
from playground.workers.liveness import exit_text
from playground.workers.subprocesses import JsonObject

PATIENCE_S = 60.0  # a first import after an installation can take half of that on Windows
PLUGINS = ("CPU", "GPU", "NPU")
PROBE = Path(__file__).with_name("probe.py")

log = logging.getLogger(__name__)
_guard = threading.Lock()
_discovery: Discovery | None = None


@dataclass(frozen=True)
class DeviceQuery:
    """A command that asks an engine for its devices. title: "OpenVINO's GPU plugin"."""

    title: str
    command: Sequence[str]
    patience_s: float = PATIENCE_S


@dataclass(frozen=True)
class Answer:
    """The JSON objects that a child wrote, and a sentence on what went wrong, if anything."""

    lines: tuple[JsonObject, ...] = ()
    error: str | None = None

    def value(self, key: str) -> Any:
        """The value of a key that only one line has; None if no line has it."""
        return next((line[key] for line in self.lines if key in line), None)

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(_device(line) for line in self.lines if "name" in line)


def discover() -> Discovery:
    """The devices that the engines find. The first call waits for the engines, some seconds."""
    global _discovery
    with _guard:
        if _discovery is None:
            _discovery = look(probes())
        return _discovery


def discovered() -> Discovery | None:
    """The result of `discover`, or None while there is none; never waits."""
    return _discovery


def forget() -> None:
    """Make the next `discover` ask the engines again: something was installed."""
    global _discovery
    with _guard:
        _discovery = None


def probes() -> dict[str, DeviceQuery]:
    """The questions worth asking: none to an engine that is not installed."""
    queries = {}
    if _spec("openvino"):
        for plugin in PLUGINS:
            title = f"OpenVINO's {plugin} plugin"
            queries[f"openvino:{plugin}"] = _probe(title, "openvino", plugin)
    if torch_build() not in (None, "CPU"):
        queries["torch"] = _probe("PyTorch", "torch")
    if npu_environment.ready():
        python = npu_environment.python()
        queries["npu-library"] = _probe("The NPU library", "npu-library", python=python)
    return queries


def look(probes: Mapping[str, DeviceQuery]) -> Discovery:
    """Ask all at once and put the answers together."""
    answers: dict[str, Answer] = {}

    def answer(name: str) -> None:
        answers[name] = ask(probes[name])

    # Daemons, which a pool's threads are not: Ctrl-C must not wait for a driver to answer.
    asking = [threading.Thread(target=answer, args=(name,), daemon=True) for name in probes]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    here = hardware()

    def devices(*names: str) -> tuple[Device, ...]:
        return tuple(
            _with_driver(device, here)
            for name in names
            for device in answers.get(name, Answer()).devices
        )

    directml = has_directml()
    messages = {name: answer.value("message") for name, answer in answers.items()}
    return Discovery(
        openvino=devices(*(f"openvino:{plugin}" for plugin in PLUGINS)),
        dml=directml_adapters() if directml is not False else (),
        torch=devices("torch"),
        npu_library=answers.get("npu-library", Answer()).value("answer"),
        dml_package=directml,
        errors={name: answer.error for name, answer in answers.items() if answer.error},
        details={name: message for name, message in messages.items() if message},
    )


def ask(probe: DeviceQuery) -> Answer:
    """What a child writes before it ends, crashes or reaches its time limit. Never raises."""
    try:
        output = subprocesses.run(probe.command, probe.patience_s)
    except OSError as error:
        log.warning("%s cannot be asked: %s", probe.title, error)
        return Answer(error=f"{probe.title} cannot be asked: {error.strerror}.")
    lines = tuple(filter(None, map(subprocesses.json_object, output.stdout.splitlines())))
    if output.code is None:
        failure = f"did not answer within {probe.patience_s:.0f} s"
    elif output.code != 0:
        failure = f"failed ({exit_text(output.code)})"
    elif not any("done" in line for line in lines):
        failure = "gave no readable answer"
    else:
        return Answer(lines)
    log.warning("%s %s: %s", probe.title, failure, output.stderr.decode("utf-8", "replace")[-4000:])
    return Answer(lines, f"{probe.title} {failure} when asked for devices.")


def torch_build() -> str | None:
    """CPU, CUDA, ROCm or XPU: what the installed torch was built for; torch is not imported."""
    spec = _spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        build = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    except (OSError, ImportError, SyntaxError):
        return None
    kinds = {"hip": "ROCm", "cuda": "CUDA", "xpu": "XPU"}
    return next((kind for name, kind in kinds.items() if build.get(name)), "CPU")


def has_directml() -> bool | None:
    """Whether the installed ONNX Runtime GenAI is the package with DirectML. It is not imported,
    though it could tell: its import in a child hung now and then (0.13.1 under Wine)."""
    if _spec("onnxruntime_genai") is None:
        return None
    try:
        return bool(importlib.metadata.version("onnxruntime-genai-directml"))
    except importlib.metadata.PackageNotFoundError:
        return False


def _probe(title: str, *arguments: str, python: Path = Path(sys.executable)) -> DeviceQuery:
    """The child ends itself soon after our patience does, in case we are gone by then."""
    return DeviceQuery(title, [str(python), "-P", str(PROBE), str(2 * PATIENCE_S), *arguments])


def _spec(module: str) -> ModuleSpec | None:
    """Of a top-level module, which is not imported for it; a broken one counts as missing."""
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _device(line: JsonObject) -> Device:
    device = Device(**line | {"full_name": line["full_name"] or "n/a"})
    if device.luid is None:
        return device
    number = int.from_bytes(bytes.fromhex(device.luid), "little")  # OpenVINO's hexadecimal bytes
    return replace(device, luid=windows.luid(number))


def _with_driver(device: Device, here: Sequence[Hardware]) -> Device:
    """The system's driver version where the engine tells none, or (NPU, Windows) a part of it."""
    kind = device.name.partition(".")[0]
    vendor = {"NPU": "Intel", "CUDA": "NVIDIA"}.get(kind)
    if vendor is None or (device.driver and sys.platform != "win32"):
        return device
    wanted = ("NPU" if kind == "NPU" else "GPU", vendor)
    drivers = [part.driver for part in here if (part.kind, part.vendor) == wanted]
    return replace(device, driver=drivers[0]) if drivers and drivers[0] else device
