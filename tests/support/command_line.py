"""The programs of the project as a person starts them: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from playground.workers import subprocesses

FAST = "fake:CPU:500tps"  # a lane that needs no model
PATH = subprocesses.environment()["PYTHONPATH"]  # the project's and whatever is on it already
WITH_SIGINT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def playground(*arguments: str, home: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m playground …` with that data folder."""
    return subprocess.run(
        [sys.executable, "-m", "playground", *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "AIPC_HOME": str(home), "PYTHONPATH": PATH, "PYTHONUTF8": "0"},
        timeout=300,
    )


def interruptible(*arguments: str) -> list[str]:
    """The command that starts Python with these arguments and lets SIGINT interrupt it.

    A shell starts background jobs with SIGINT ignored, and children inherit that.
    """
    return [sys.executable, *([] if os.name == "nt" else ["-c", WITH_SIGINT]), *arguments]


def processes_of(home: Path) -> list[psutil.Process]:
    """All that were started with that data folder."""
    return [process for process in psutil.process_iter() if _data_folder(process) == str(home)]


def _data_folder(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("AIPC_HOME")
    except psutil.Error:
        return None
