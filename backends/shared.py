"""Parts of several backends: a stream from a blocking call, explained errors, device names."""

from __future__ import annotations

import os
import platform
import re
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from backends.base import BackendError

Emit = Callable[[int], bool]  # pass on one token id; False: stop, nobody needs more
# A CPU with bf16 units would compute in bf16 by default, but an AI PC's CPU has none: in fp32,
# SmolLM2 in int8 says "Paris", in bf16 with Optimum "L'Étoile". Prefill gets 15 % slower.
OPENVINO_CPU = {"INFERENCE_PRECISION_HINT": "f32"}
NO_MEMORY = re.compile(r"bad.?alloc|(not enough|out of|insufficient) memory|cannot allocate", re.I)


def trust_remote_code() -> bool:
    """Whether Python code from a model's folder may run, which only a start-up option allows."""
    return os.environ.get("AIPC_TRUST_REMOTE_CODE") == "1"


def stream(work: Callable[[Emit], object]) -> Generator[int]:
    """Yield the ids that `work` emits in a thread, which has ended when the generator ends.

    For engines that block and call back. `work` must return soon after `emit` has returned False.
    """
    items: SimpleQueue[int | BaseException | None] = SimpleQueue()
    closed = Event()

    def emit(token: int) -> bool:
        items.put(token)
        return not closed.is_set()

    def run() -> None:
        try:
            work(emit)
            items.put(None)
        except BaseException as error:  # any: the generator would otherwise wait for ever
            items.put(error)

    thread = Thread(target=run, name="engine", daemon=True)
    thread.start()
    try:
        while (item := items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()


def check_prompt(prompt: Sequence[int], vocabulary: int | None) -> None:
    """Raise BackendError for ids outside the vocabulary: for these, OpenVINO and ONNX Runtime
    silently read whatever lies in memory there (2026.4.1, 0.18.0)."""
    if not prompt:
        raise BackendError("The prompt has no tokens.", "Enter a prompt.")
    if min(prompt) < 0 or (vocabulary and max(prompt) >= vocabulary):
        raise BackendError(
            f"The prompt has a token id outside this model's vocabulary (0 to "
            f"{(vocabulary or 0) - 1}).",
            "The tokenizer belongs to another model: prepare the model again.",
        )


@contextmanager
def explained(model: Path) -> Iterator[None]:
    """Turn any exception of a load into a BackendError; its traceback goes to stderr."""
    if not model.is_dir():
        raise BackendError(f"There is no model folder {model}.", "Prepare the model first.")
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
            raise BackendError(
                "There is not enough memory to load this model.",
                "Close other programs or lanes, or choose a smaller model or precision.",
            ) from error
        raise BackendError(
            f"The model in {model} cannot be loaded.",
            "Prepare the model again; the engine's message is in the log.",
        ) from error


def compile_cache(device: str) -> Path | None:
    """The folder below AIPC_CACHE for what OpenVINO compiles for a GPU or NPU, which can take
    minutes; None for the CPU, where it is of no use."""
    home = os.environ.get("AIPC_CACHE")
    return Path(home) / "openvino" / device if home and not device.startswith("CPU") else None


def cached_files(folder: Path | None) -> set[tuple[Path, int]]:
    """Paths and modification times: a damaged file is replaced under its old name."""
    files = set()
    for path in folder.glob("*") if folder else ():
        with suppress(OSError):  # another process is replacing it
            files.add((path, path.stat().st_mtime_ns))
    return files


def openvino_device_name(core: Any, device: str) -> str:
    """The full name of a device that OpenVINO has. AUTO is refused: it would choose by itself."""
    kinds = {name.split(".")[0] for name in core.available_devices}
    try:
        name = str(core.get_property(device, "FULL_DEVICE_NAME"))
    except RuntimeError:
        traceback.print_exc()
    else:
        if device.split(".")[0] in kinds:
            return name
    raise BackendError(
        f"OpenVINO finds no device {device} on this machine.",
        f"It finds {', '.join(core.available_devices)}: choose one of these, or install the "
        f"driver that {device} needs.",
    )


def cpu_name() -> str:
    """The processor's product name, which `platform.processor()` does not return."""
    if sys.platform == "win32":
        import winreg

        path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.M)
    return match[1].strip() if match else platform.processor() or platform.machine()
