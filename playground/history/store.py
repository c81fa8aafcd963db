"""All runs and benchmarks in one SQLite file of the data folder, for several processes at once.

When a call returns, its change is on the disk: WAL with full syncs, one transaction for each call.
A process that is killed loses at most the entry it had not yet added. The file holds people's
prompts: where files have modes, only their user can read it, and deleted data is overwritten.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pydantic import ValidationError

from playground.errors import PlaygroundError
from playground.history.damage import DAMAGED, set_aside
from playground.history.entry import Entry, Summary, parse_entry
from playground.paths import home

VERSION = 1
BUSY_S = 30.0  # how long a call waits for others, which take milliseconds
POLL_S = 0.01
SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
    made_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    words TEXT NOT NULL,
    whole TEXT NOT NULL
);
CREATE INDEX newest ON entries (made_at, id);
"""
MAX_ID = 2**63 - 1  # that SQLite can count to
FREE_SPACE = "Free some space, or make the data folder writable; AIPC_HOME names another one."
IN_USE = "Another program is using it; try again when that has ended."
FIXES = {
    sqlite3.SQLITE_FULL: FREE_SPACE,
    sqlite3.SQLITE_IOERR: FREE_SPACE,
    sqlite3.SQLITE_READONLY: FREE_SPACE,
    sqlite3.SQLITE_CANTOPEN: FREE_SPACE,
    sqlite3.SQLITE_BUSY: IN_USE,
    sqlite3.SQLITE_LOCKED: IN_USE,
}
T = TypeVar("T")
log = logging.getLogger(__name__)


class History:
    """Calls of all threads and processes take turns, each with a connection of its own.

    Every method raises PlaygroundError when the file can't be used, which must not end a run.
    notice: a sentence to show once a damaged file was renamed.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "history.sqlite"
        self.notice = ""

    def add(self, entry: Entry) -> int:
        """Keep an entry and return its id; one without a time is given the current one."""
        content = {
            "settings": entry.settings.as_json(),
            "result": entry.result.as_json(),
            "gauges": entry.gauges,
        }
        try:
            row = (
                entry.made_at or now(),
                entry.kind,
                dump(entry.summary()),
                searchable(entry.search_text()),
                dump(content),
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise PlaygroundError(
                f"The history cannot keep this result: {error}.", "Please report this."
            ) from error

        query = "INSERT INTO entries (made_at, kind, summary, words, whole) VALUES (?, ?, ?, ?, ?)"
        return self._do(lambda connection: connection.execute(query, row).lastrowid or 0)

    def find(
        self, text: str = "", limit: int = 50, offset: int = 0, kind: str | None = None
    ) -> list[Summary]:
        """The newest entries first. text: part of the prompt, the model or a lane's name, in any
        case."""
        query = (
            "SELECT id, kind, made_at, summary FROM entries "
            "WHERE (? = '' OR instr(words, ?) > 0) AND (? IS NULL OR kind = ?) "
            "ORDER BY made_at DESC, id DESC LIMIT ? OFFSET ?"
        )
        pattern = searchable(text.casefold().strip())
        values = (pattern, pattern, kind, kind, min(limit, MAX_ID), min(offset, MAX_ID))
        rows = self._do(lambda connection: connection.execute(query, values).fetchall())
        return [
            Summary.model_validate(
                {"id": row_id, "kind": row_kind, "made_at": made_at, **json.loads(summary)}
            )
            for row_id, row_kind, made_at, summary in rows
        ]

    def count(self) -> int:
        """The number of entries."""
        query = "SELECT count(*) FROM entries"
        return int(self._do(lambda connection: connection.execute(query).fetchone()[0]))

    def get(self, entry_id: int) -> Entry | None:
        """The whole entry; None where there is none with this id."""
        if not in_range(entry_id):
            return None
        query = "SELECT kind, made_at, whole FROM entries WHERE id = ?"
        row = self._do(lambda connection: connection.execute(query, (entry_id,)).fetchone())
        if row is None:
            return None
        kind, made_at, content = row
        try:
            return parse_entry(kind, json.loads(content), made_at, entry_id)
        except ValidationError as error:
            log.warning("History entry %s: %s", entry_id, error)
            raise PlaygroundError(
                f"Entry {entry_id} of the history holds values that this version can't read.",
                "Delete it; details are in the log.",
            ) from error

    def delete(self, entry_id: int) -> bool:
        """Delete an entry; whether there was one with this id."""
        return (
            in_range(entry_id) and self._delete("DELETE FROM entries WHERE id = ?", (entry_id,)) > 0
        )

    def delete_all(self) -> int:
        """Delete all entries; their number."""
        return self._delete("DELETE FROM entries", ())

    def _delete(self, statement: str, values: tuple[int, ...]) -> int:
        def delete(connection: sqlite3.Connection) -> int:
            connection.execute("PRAGMA secure_delete = ON")
            gone = connection.execute(statement, values).rowcount
            with contextlib.suppress(sqlite3.OperationalError):  # busy: the next one to close does
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return gone

        return self._do(delete)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work on a connection of its own. Raises PlaygroundError."""
        lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        try:
            # No other process of this program has the file open: a damaged one can be renamed.
            with lock.acquire(timeout=BUSY_S, poll_interval=POLL_S):
                return self._repaired(work)
        except Timeout as error:
            raise PlaygroundError("The history is in use.", IN_USE) from error
        except sqlite3.Error as error:
            log.warning("History %s: %s", self.path, error)
            fix = FIXES.get(primary(error), "Details are in the log.")
            raise PlaygroundError(f"The history cannot be used: {error}.", fix) from error
        except OSError as error:
            log.warning("History %s: %s", self.path, error)
            text = f"The history cannot be used: {error.strerror}."
            raise PlaygroundError(text, FREE_SPACE) from error

    def _repaired(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work; if the file is damaged, on a new one."""
        try:
            with self._open() as connection:
                return work(connection)
        except sqlite3.DatabaseError as error:
            if primary(error) not in DAMAGED:
                raise
        self.notice = set_aside(self.path)
        with self._open() as connection:
            return work(connection)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            set_up(connection)
            yield connection
        finally:
            connection.close()


def set_up(connection: sqlite3.Connection) -> None:
    """Create the table in a new file. Raises PlaygroundError if a newer program wrote the file."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        # Both are saved in the file. The version, which comes last, says that all is complete.
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    elif version > VERSION:
        raise PlaygroundError(
            "The history was written by a newer version of this program.",
            "Update the program, or set AIPC_HOME to another folder.",
        )


def make_private(path: Path) -> None:
    """Create the file, readable for its user only; SQLite's other files get the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def in_range(entry_id: int) -> bool:
    """Whether SQLite can hold such an id."""
    return 0 < entry_id <= MAX_ID


def dump(value: object) -> str:
    """JSON in ASCII, since SQLite accepts neither NUL nor a lone surrogate."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def searchable(text: str) -> str:
    """Text that SQLite can hold and search."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
