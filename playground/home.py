"""Where the program keeps its data: models, logs, downloads."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The data folder: `AIPC_HOME`, or the user's own data folder. It is made when missing."""
    chosen = os.environ.get("AIPC_HOME")
    folder = Path(chosen) if chosen else platformdirs.user_data_path("aipc-playground", False)
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
