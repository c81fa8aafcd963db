"""Removing a hub's models from the user's own Hugging Face cache."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playground.errors import PreparationError
from playground.models import children, failures
from playground.models.hub import client as hub
from playground.paths import home


def remove(title: str, revisions: Sequence[str]) -> int:
    """Removes these (repository@revision); the bytes freed. Raises PreparationError."""
    told: dict[str, Any] = {}

    def read(line: str) -> None:
        if line.startswith(hub.MARK):
            told.update(json.loads(line.removeprefix(hub.MARK)))

    log = home() / "logs" / f"remove-{title}.log"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        arguments = ["playground.models.hub.uncache_child", *revisions]
        environ = hub.environment(scratch)
        ended = children.run(arguments, scratch, log, on_line=read, environ=environ)
    if failed := told.get("failed"):
        raise PreparationError(failed["message"], failed["fix"])
    if ended.code != 0:
        raise failures.from_child(ended, log.parent, 0, title, log)
    return int(told["freed"])
