"""The virtual environment of Intel's NPU Acceleration Library: its path, and whether it is ready.

The library is archived and needs older packages than everything else; its lanes' workers therefore
run on a Python of their own. Standard library only: `setup/npu.py`, which creates it, imports this.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from playground.paths import ROOT

NAME = ".venv-npu"
REQUIREMENTS = "requirements-npu.txt"
FIX = "Set it up with: python run.py setup npu"


def python() -> Path:
    """The environment's Python; it may not exist."""
    return ROOT / NAME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def stamp() -> Path:
    """The file that holds the fingerprint of a complete environment."""
    return ROOT / NAME / f"{REQUIREMENTS}.installed"


def fingerprint() -> str:
    """A hash of what is to be installed and of how it is built."""
    digest = hashlib.sha256()
    for name in (REQUIREMENTS, "setup/npu.py"):
        digest.update((ROOT / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def ready() -> bool:
    """Whether it is complete and up to date with this version of the project."""
    try:
        return python().exists() and stamp().read_text(encoding="ascii") == fingerprint()
    except (OSError, ValueError):
        return False
