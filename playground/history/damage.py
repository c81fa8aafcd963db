"""Renames a damaged history, which is never deleted; a new one takes its place."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from datetime import datetime
from pathlib import Path

from playground.errors import PlaygroundError

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
ENDINGS = ("-wal", "-shm", "")  # of SQLite's files; the database itself last

log = logging.getLogger(__name__)


def set_aside(path: Path) -> str:
    """Rename a damaged file; the sentence to show for it. The caller holds the lock.

    Raises PlaygroundError when it can't be renamed: on Windows, while another program has it open.
    """
    aside = free_name(path)
    try:
        for ending in ENDINGS:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{ending}").rename(f"{aside}{ending}")
    except OSError as error:
        raise PlaygroundError(
            f"The history is damaged and cannot be renamed: {error.strerror}.",
            f"End the other programs that use it, then rename {path}.",
        ) from error
    notice = f"The history was damaged. It is now {aside}, and a new one has been started."
    log.error(notice)
    return notice


def free_name(path: Path) -> Path:
    """history.sqlite → history-damaged-2026-11-20-3.sqlite, the first name not in use."""
    stem = f"{path.stem}-damaged-{datetime.now():%Y-%m-%d}"
    number = 1
    while (free := path.with_name(f"{stem}-{number}{path.suffix}")).exists():
        number += 1
    return free
