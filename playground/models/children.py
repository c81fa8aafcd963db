"""Starting, watching, suspending and ending the child processes of a preparation."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

from playground.models.stage import raise_if_set
from playground.models.windows_job import end_with_us
from playground.paths import ROOT
from playground.workers.liveness import kill_tree, tree

KEPT_LINES = 60

_guard = threading.RLock()
_running: set[int] = set()
_pauses = 0


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code and its last lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def environment(scratch: Path) -> dict[str, str]:
    """The user's own, with hubs and telemetry off and everything temporary inside `scratch`."""
    temporary = scratch / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "HF_HOME": str(scratch / "hub"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "COLUMNS": "120",
    }


def run(
    arguments: Sequence[str],
    scratch: Path,
    log: Path,
    *,
    cancel: threading.Event | None = None,
    on_line: Callable[[str], object] = str,
    environ: dict[str, str] | None = None,
) -> Ended:
    """Runs `python -m playground.models.child ARGUMENTS` to its end, its output into `log`.

    Its environment is `environ`, or `environment(scratch)` where none is given.
    """
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ python -m {' '.join(arguments)}\n")
        process = _start(arguments, scratch, environ or environment(scratch))
        reader = threading.Thread(target=_read, args=(process, lines, kept, file), daemon=True)
        reader.start()
        try:
            while process.poll() is None or not lines.empty():
                raise_if_set(cancel)
                while not lines.empty():
                    on_line(lines.get())
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            _end(process)
            reader.join(5)
    return Ended(process.returncode, tuple(kept))


def _read(
    process: subprocess.Popen[str],
    lines: queue.SimpleQueue[str],
    kept: deque[str],
    log: TextIO,
) -> None:
    """Empties the child's pipe, whatever happens to the log: a full pipe would block the child."""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            kept.append(line.rstrip())
            lines.put(line)
            with suppress(OSError, ValueError):  # the disk is full; the log was closed
                log.write(line)
                log.flush()


def _start(
    arguments: Sequence[str], scratch: Path, environ: dict[str, str]
) -> subprocess.Popen[str]:
    """Starts a child in a group of its own, suspended at once while a prompt is measured.

    If this process dies, stdin ends and the child with it; one that is suspended then is ended
    by the system, as the stopped member of an orphaned process group (POSIX) or by the job.
    """
    command = [sys.executable, "-m", "playground.models.child", *arguments]
    group = {} if sys.platform == "win32" else {"process_group": 0}
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    with _guard:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            cwd=scratch,
            env=environ,
            creationflags=flags,
            **group,  # type: ignore[call-overload]
        )
        end_with_us(process)
        _running.add(process.pid)
        if _pauses:
            _suspend(process.pid)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the child and all that it started; harmless when it has ended by itself."""
    with _guard:
        if process.poll() is None:
            doomed = tree(process.pid)
            kill_tree(process.pid)
            psutil.wait_procs(doomed, timeout=5)
            process.wait(10)
        _running.discard(process.pid)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _suspend(pid: int) -> None:
    """Suspends a tree from its root down, again until no new member has appeared."""
    seen: set[int] = set()
    while new := [one for one in tree(pid) if one.pid not in seen]:
        for one in new:
            seen.add(one.pid)
            with suppress(psutil.Error):
                one.suspend()


@contextmanager
def paused() -> Iterator[None]:
    """Suspends all running children while a prompt is measured, also those started meanwhile."""
    global _pauses
    with _guard:
        _pauses += 1
        if _pauses == 1:
            for pid in _running:
                _suspend(pid)
    try:
        yield
    finally:
        with _guard:
            _pauses -= 1
            if _pauses == 0:
                for one in [member for pid in _running for member in tree(pid)]:
                    with suppress(psutil.Error):
                        one.resume()
