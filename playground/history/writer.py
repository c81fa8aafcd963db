"""Adds entries to the history in the background."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

from playground.errors import PlaygroundError
from playground.history.entry import Entry
from playground.history.store import History

log = logging.getLogger(__name__)


class HistoryWriter:
    """Adds entries one after another in a thread of its own. history: None keeps nothing.

    trouble: why the last entry could not be added, for a person; a run does not fail because of it.
    """

    def __init__(self, history: History | None) -> None:
        self.history = history
        self.trouble = ""
        self.kept = 0  # entries added so far: a list with another count is out of date
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="history")

    @property
    def notice(self) -> str:
        """What a person should know about the history; "" where all is well."""
        return self.trouble or (self.history.notice if self.history else "")

    def keep(self, entry: Entry) -> None:
        """Returns at once. After `close` nothing is kept any more."""
        if self.history is not None:
            with contextlib.suppress(RuntimeError):  # closed
                self._writer.submit(self._add, self.history, entry)

    def close(self) -> None:
        """Wait until all entries are on the disk: milliseconds, unless another program uses it."""
        self._writer.shutdown()

    def _add(self, history: History, entry: Entry) -> None:
        try:
            history.add(entry)
            self.trouble = ""
            self.kept += 1
        except PlaygroundError as error:
            if not self.trouble:
                log.error("The history cannot be kept: %s", error)
            self.trouble = str(error)
        except Exception:
            log.exception("An entry could not be added to the history")
