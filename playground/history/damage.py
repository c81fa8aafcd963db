"""A damaged history is moved aside, never lost, and a new one begun in its place."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from datetime import datetime
from pathlib import Path

from playground.errors import PlaygroundError

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
COMPANIONS = ("-wal", "-shm", "")  # of SQLite; the file itself last

log = logging.getLogger(__name__)


def set_aside(path: Path) -> str:
    """Renames a damaged file and tells a person so. The caller holds the lock.

    Raises PlaygroundError when it cannot be renamed: on Windows, when another program has it open.
    """
    aside = free_name(path)
    try:
        for companion in COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{companion}").rename(f"{aside}{companion}")
    except OSError as error:
        raise PlaygroundError(
            f"The history is damaged and cannot be set aside: {error.strerror}.",
            f"End the other programs that use it, then rename {path}.",
        ) from error
    notice = f"The history was damaged. It is set aside as {aside}, and a new one is begun."
    log.error(notice)
    return notice


def free_name(path: Path) -> Path:
    """history.sqlite → history-damaged-2026-11-20-3.sqlite, the first that is free."""
    stem = f"{path.stem}-damaged-{datetime.now():%Y-%m-%d}"
    number = 1
    while (found := path.with_name(f"{stem}-{number}{path.suffix}")).exists():
        number += 1
    return found
