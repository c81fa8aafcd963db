"""How this program starts its child processes, reads their messages, and ends them in time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from playground.paths import ROOT
from playground.workers import windows_job

KILL_S = 10.0  # the longest wait for a killed process: a hanging driver may never let it go

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Output:
    """What a child wrote, and its exit code: None if it was killed at its time limit."""

    code: int | None
    stdout: bytes
    stderr: bytes


def environment() -> dict[str, str]:
    """The environment of every child: this process's own, with the project importable, UTF-8, and
    neither hub nor telemetry."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONUTF8": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def start(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.PIPE,
    own_group: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child whose stdout is a pipe. Raises OSError.

    environ: instead of `environment()`. own_group: in a POSIX process group of its own.
    """
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=cwd,
        env=environment() if environ is None else environ,
        process_group=0 if own_group else None,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows only
    )
    windows_job.add(process)
    return process


def run(command: Sequence[str], time_limit_s: float) -> Output:
    """Run a child to its end, or to its time limit. Raises OSError if it cannot be started."""
    process = start(command)
    try:
        stdout, stderr = process.communicate(timeout=time_limit_s)
        return Output(process.returncode, stdout, stderr)
    except subprocess.TimeoutExpired:
        end(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return Output(None, *process.communicate(timeout=KILL_S))
        return Output(None, b"", b"")  # something that it started still holds the pipes
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience_s: float = 0) -> None:
    """Wait `patience_s` for a child to end by itself, then kill it and all that it started."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        descendants = tree(process.pid)[1:]
        kill_tree(process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_S)
        psutil.wait_procs(descendants, timeout=KILL_S)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as far as they still run."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def kill_tree(pid: int) -> None:
    """Kill a process and its descendants; the parent comes first and so starts no more of them."""
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            process.kill()


def json_object(line: str | bytes) -> JsonObject | None:
    """The JSON object on a line of a child's output; None for any other line."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def send(message: Mapping[str, object]) -> None:
    """Print a JSON object for the parent, on a line of its own even after a progress bar."""
    print("\n" + json.dumps(message), flush=True)
