"""A damaged history is moved aside, never lost, and a new one begun in its place."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from playground.errors import PlaygroundError

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
OTHERS_S = 5.0
COMPANIONS = ("-wal", "-shm", "")  # of SQLite; the file itself last

log = logging.getLogger(__name__)


def set_aside(path: Path) -> str:
    """Renames a damaged file and tells a person so; "" when another process has done it.

    Raises PlaygroundError when it cannot be renamed: on Windows, when somebody keeps it open.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        if is_sound(path):
            return ""
        aside = free_name(path)
        try:
            rename(path, aside)
        except OSError as error:
            raise PlaygroundError(
                f"The history is damaged and cannot be set aside: {error.strerror}.",
                f"End the other programs that use it, then rename {path}.",
            ) from error
    notice = f"The history was damaged. It is set aside as {aside}, and a new one is begun."
    log.error(notice)
    return notice


def rename(path: Path, aside: Path) -> None:
    """Waits for others to close it: Windows renames no file that somebody has open."""
    deadline = time.monotonic() + OTHERS_S
    for companion in COMPANIONS:
        while True:
            try:
                Path(f"{path}{companion}").rename(f"{aside}{companion}")
            except FileNotFoundError:
                pass
            except PermissionError:
                if os.name != "nt" or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
                continue
            break


def is_sound(path: Path) -> bool:
    """Whether SQLite finds no fault in it; it must be there."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
            return False
        raise
    finally:
        connection.close()


def free_name(path: Path) -> Path:
    """history.sqlite → history-damaged-2026-11-20-3.sqlite, the first that is free."""
    stem = f"{path.stem}-damaged-{datetime.now():%Y-%m-%d}"
    number = 1
    while (found := path.with_name(f"{stem}-{number}{path.suffix}")).exists():
        number += 1
    return found
