"""What several backends need: a stream out of a call that blocks, errors for a person, names."""

from __future__ import annotations

import os
import platform
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from backends.base import BackendError

Emit = Callable[[int], bool]  # hand over one id; False: nobody wants more, stop
# A CPU with bf16 units would compute in bf16 by default, an AI PC's has none: there SmolLM2 in
# int8 says Paris, here with Optimum "L'Étoile". Decode is as fast either way; prefill loses 15 %.
OPENVINO_CPU = {"INFERENCE_PRECISION_HINT": "f32"}
NO_MEMORY = re.compile(r"bad.?alloc|(not enough|out of|insufficient) memory|cannot allocate", re.I)


def trust_remote_code() -> bool:
    """Whether code that a model's folder brings along may run: only the person who started the
    program can say so."""
    return os.environ.get("AIPC_TRUST_REMOTE_CODE") == "1"


def stream(work: Callable[[Emit], object]) -> Iterator[int]:
    """The ids that `work` emits, as they appear, from a thread that has ended when this has.

    For engines that take a callback and block. `work` must return soon after `emit` said False.
    """
    arrived: SimpleQueue[int | BaseException | None] = SimpleQueue()
    closed = Event()

    def emit(token: int) -> bool:
        arrived.put(token)
        return not closed.is_set()

    def run() -> None:
        try:
            work(emit)
            arrived.put(None)
        except BaseException as error:  # whatever it is: a reader that waits must hear of it
            arrived.put(error)

    thread = Thread(target=run, name="engine", daemon=True)
    thread.start()
    try:
        while (item := arrived.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()


def check_prompt(prompt: Sequence[int], vocabulary: int | None) -> None:
    """Refuse what an engine would not: OpenVINO and ONNX Runtime answer an id beyond the
    vocabulary with whatever lies in memory there, without a word (2026.4.1, 0.18.0)."""
    if not prompt:
        raise BackendError("The prompt has no tokens.", "Write something to answer.")
    if min(prompt) < 0 or (vocabulary and max(prompt) >= vocabulary):
        raise BackendError(
            f"The prompt has a token id that this model does not know (it knows 0 to "
            f"{(vocabulary or 0) - 1}).",
            "The tokenizer belongs to another model: prepare the model again.",
        )


@contextmanager
def explained(model: Path) -> Iterator[None]:
    """Loads inside it fail with a sentence for a person; the engine's own words go to stderr."""
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
            "Prepare the model again; the log has the engine's own words.",
        ) from error


class CompileCache:
    """OpenVINO's cache of models compiled for the GPU and the NPU, which can take minutes. On the
    CPU it gains nothing. AIPC_CACHE is where the program keeps such things."""

    def __init__(self, device: str) -> None:
        home = os.environ.get("AIPC_CACHE")
        wanted = home and not device.startswith("CPU")
        self._folder = Path(home) / "openvino" / device if home and wanted else None
        self._before = self._files()

    @property
    def properties(self) -> dict[str, str]:
        return {"CACHE_DIR": str(self._folder)} if self._folder else {}

    def notes(self) -> tuple[str, ...]:
        """Whether this load compiled: its time is then not that of the next one."""
        if self._files() - self._before:
            return ("Compiled in this load; the next one takes it from the cache.",)
        return ()

    def _files(self) -> set[tuple[Path, int]]:
        """With the times of writing: a damaged file is compiled anew under its old name."""
        if self._folder is None or not self._folder.is_dir():
            return set()
        found = set()
        for path in self._folder.iterdir():
            with suppress(OSError):  # another process writes it anew this moment
                found.add((path, path.stat().st_mtime_ns))
        return found


def openvino_device_name(core: Any, device: str) -> str:
    """The full name of a device that OpenVINO really has: no AUTO, which would choose another."""
    kinds = {each.split(".")[0] for each in core.available_devices}
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
    """The processor's marketing name, which `platform.processor()` does not know."""
    if sys.platform == "win32":
        import winreg

        where = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, where) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = ""
    found = re.search(r"^model name\s*:\s*(.+)$", told, re.M)
    return found[1].strip() if found else platform.processor() or platform.machine()
