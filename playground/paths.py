"""The folders of the project and of the program's data: models, logs, downloads."""

from __future__ import annotations

import os
from pathlib import Path

from playground.errors import BadInput

ROOT = Path(__file__).resolve().parents[1]  # the project


def home() -> Path:
    """The data folder: `AIPC_HOME`, or else one in the user's data folder; created if missing.

    Raises BadInput if it cannot be used.
    """
    import platformdirs  # here: setup/ reads this module before any package is installed

    chosen = os.environ.get("AIPC_HOME")
    folder = Path(chosen) if chosen else platformdirs.user_data_path("aipc-playground", False)
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The data folder {folder} cannot be used: {error.strerror}.",
            "Set AIPC_HOME to a folder that you can write to.",
        ) from error
    return folder.resolve()
