"""A sentence and a fix for each failure of a preparation; details stay in the log."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

from playground.errors import PreparationError
from playground.formatting import file_size
from playground.models.children import Ended
from playground.models.gguf.errors import Code
from playground.workers.subprocesses import json_object

_FULL = re.compile(
    r"No space left on device|Errno 28|os error 28|os error 112|WinError 112"
    r"|not enough space on the disk|Disk quota exceeded",
    re.IGNORECASE,
)
_MEMORY = re.compile(
    r"MemoryError|bad[_ ]alloc|can't allocate memory|not enough memory|Cannot allocate memory"
    r"|paging file is too small|WinError 1455",
    re.IGNORECASE,
)
_MISSING = re.compile(r"No module named '([\w.]+)'")
_KILLED = (-9, 137)


def disk_full(folder: Path, needed: int, what: str, setting: str = "AIPC_HOME") -> PreparationError:
    """The error with free and needed bytes. setting: the variable that moves the folder."""
    return PreparationError(
        f"The disk is full: {file_size(free_bytes(folder))} free at {folder}, "
        f"about {file_size(needed)} needed to make {what}.",
        f"Free some space, or set {setting} to a folder on another disk, then start again.",
    )


def from_child(ended: Ended, folder: Path, needed: int, what: str, log: Path) -> PreparationError:
    """The error that a child reported as JSON, or else what its last lines suggest."""
    for line in reversed(ended.text.splitlines()):
        if (report := json_object(line)) and report.get("error") in Code.__members__:
            message, fix = Code[report["error"]].value
            return PreparationError(message.format(report["detail"]), fix)
    short = free_bytes(folder) < needed
    if _FULL.search(ended.text) or (short and "iostream error" in ended.text):  # OpenVINO's text
        return disk_full(folder, needed, what)
    if ended.code in _KILLED or _MEMORY.search(ended.text):
        why = "ran out of memory" if ended.code not in _KILLED else "was ended by the system"
        return PreparationError(
            f"Making {what} {why}.",
            "Close other programs to free memory, then start again; "
            f"the converter's messages are in {log}.",
        )
    if match := _MISSING.search(ended.text):
        return PreparationError(
            f"Making {what} needs the Python package {match[1]}, which is not installed.",
            "Install it (pip install -r requirements.txt) and start again.",
        )
    return PreparationError(
        f"Making {what} failed.",
        f"See the last lines of {log}. No incomplete files are left: the next start tries again.",
    )


def from_os(error: OSError, folder: Path, needed: int, what: str) -> PreparationError:
    """The error for an OSError of this process."""
    if is_disk_full(error):
        return disk_full(folder, needed, what)
    reason = error.strerror or type(error).__name__
    return PreparationError(
        f"Making {what} failed: {reason} ({error.filename or folder}).",
        "Check that the data folder can be written, or set AIPC_HOME to another one.",
    )


def is_disk_full(error: OSError) -> bool:
    full = (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
    return error.errno in full or getattr(error, "winerror", None) == 112


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder that need not exist yet."""
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """The folder, or its nearest ancestor that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
