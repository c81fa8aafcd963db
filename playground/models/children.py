"""The child processes of a preparation: run to their end, and suspended during measurements."""

from __future__ import annotations

import io
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
from playground.workers import subprocesses
from playground.workers.subprocesses import tree

KEPT_LINES = 60

_guard = threading.RLock()
_running: set[int] = set()
_pauses = 0


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int
    text: str  # the last lines of its output


@dataclass(frozen=True)
class Workspace:
    """Where children work; `cancel` ends them."""

    scratch: Path  # a folder for everything temporary
    log: Path  # gets their output
    cancel: threading.Event | None = None


def environment(scratch: Path) -> dict[str, str]:
    """The environment of every child, with everything temporary inside `scratch`."""
    temporary = scratch / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        **subprocesses.environment(),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
        "HF_HOME": str(scratch / "hub"),
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "120",
    }


def run(
    arguments: Sequence[str],
    workspace: Workspace,
    *,
    on_line: Callable[[str], object] = str,
    environ: dict[str, str] | None = None,
) -> Ended:
    """Run the module and its arguments in a child (workers/child.py), with its output in the log.

    environ: default: `environment(scratch)`. Raises Cancelled soon after `cancel` is set.
    """
    scratch, log = workspace.scratch, workspace.log
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ python -m {' '.join(arguments)}\n")
        process = _start(arguments, scratch, environ or environment(scratch))
        reader = threading.Thread(target=_read, args=(process, lines, kept, file), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                raise_if_set(workspace.cancel)
                while not lines.empty():
                    on_line(lines.get())
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            with _guard:
                subprocesses.end(process)
                _running.discard(process.pid)
            reader.join(5)
    while not lines.empty():  # the last ones, which the reader got after the child had ended
        on_line(lines.get())
    return Ended(process.returncode, "\n".join(kept))


def _read(
    process: subprocess.Popen[bytes],
    lines: queue.SimpleQueue[str],
    kept: deque[str],
    log: TextIO,
) -> None:
    """Empty the child's pipe, even if the log cannot be written: a full pipe blocks the child."""
    assert process.stdout is not None
    with io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace") as output:
        for line in output:
            kept.append(line.rstrip())
            lines.put(line)
            with suppress(OSError, ValueError):  # the disk is full; the log was closed
                log.write(line)
                log.flush()


def _start(
    arguments: Sequence[str], scratch: Path, environ: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a child in a group of its own, suspended at once while a prompt is measured.

    If this process dies, stdin ends and so does the child. A suspended child is then ended by the
    system: as a stopped member of an orphaned process group (POSIX), or by the job (Windows).
    """
    with _guard:
        process = subprocesses.start(
            [sys.executable, "-m", "playground.workers.child", *arguments],
            environ=environ,
            cwd=scratch,
            stdin=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            own_group=True,
        )
        _running.add(process.pid)
        if _pauses:
            _suspend(process.pid)
    return process


def _suspend(pid: int) -> None:
    """Suspend a process tree from its root down, until no new member appears."""
    seen: set[int] = set()
    while new := [process for process in tree(pid) if process.pid not in seen]:
        for process in new:
            seen.add(process.pid)
            with suppress(psutil.Error):
                process.suspend()


@contextmanager
def paused() -> Iterator[None]:
    """Suspend all children, including those started meanwhile, while a prompt is measured."""
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
                for process in [member for pid in _running for member in tree(pid)]:
                    with suppress(psutil.Error):
                        process.resume()
