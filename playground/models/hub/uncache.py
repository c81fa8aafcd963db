"""Removes a hub's models from the user's own Hugging Face cache."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from playground.models.hub import client as hub
from playground.paths import home


def remove(title: str, revisions: Sequence[str]) -> int:
    """Remove these (repository@revision) and return the bytes freed. Raises PreparationError."""
    log = home() / "logs" / f"remove-{title}.log"
    arguments = ["playground.models.hub.uncache_child", *revisions]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        result = hub.run_child(arguments, hub.Remote(title), Path(folder), log)
    return int(result["freed"])
