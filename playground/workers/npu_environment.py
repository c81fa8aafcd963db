"""Where the environment of Intel's NPU Acceleration Library lies, and whether it is there.

The library is archived and wants older packages than everything else, so that its lanes' workers
run on a Python of their own. Standard library only: `setup/npu.py` makes it and imports this.
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
    """Its Python, there or not."""
    return ROOT / NAME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def stamp() -> Path:
    """The file that says what the environment was made from; written when all is done."""
    return ROOT / NAME / f"{REQUIREMENTS}.installed"


def fingerprint() -> str:
    """Changes when what is to be installed, or the way it is built, changes."""
    digest = hashlib.sha256()
    for name in (REQUIREMENTS, "setup/npu.py"):
        digest.update((ROOT / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def ready() -> bool:
    """Whether it is complete and as this version of the project wants it."""
    try:
        return python().exists() and stamp().read_text(encoding="ascii") == fingerprint()
    except (OSError, ValueError):
        return False
