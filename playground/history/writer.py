"""Puts away what was measured, while whoever measured it goes on."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from playground.errors import PlaygroundError
from playground.history.store import History

log = logging.getLogger(__name__)


class HistoryWriter:
    """Keeps runs and benches one after another. history: None keeps nothing.

    trouble: why the last one could not be kept, for a person; no run ends of that.
    """

    def __init__(self, history: History | None) -> None:
        self.history = history
        self.trouble = ""
        self.kept = 0  # grows with each, so that a list knows that it is old
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="history")

    @property
    def notice(self) -> str:
        """What a person should know of the history, "" where all is well."""
        return self.trouble or (self.history.notice if self.history else "")

    def keep(
        self, kind: str, settings: dict[str, Any], result: dict[str, Any], gauges: list[Any]
    ) -> None:
        """Returns at once. After `close` nothing is kept: the run was in flight."""
        if self.history is not None:
            with contextlib.suppress(RuntimeError):
                self._writer.submit(self._add, self.history, kind, settings, result, gauges)

    def close(self) -> None:
        """Waits for what is not yet on the disk: milliseconds, unless another program holds it."""
        self._writer.shutdown()

    def _add(self, history: History, *whole: Any) -> None:
        try:
            history.add(*whole)
            self.trouble = ""
            self.kept += 1
        except PlaygroundError as error:
            if not self.trouble:
                log.error("The history cannot be kept: %s", error)
            self.trouble = str(error)
        except Exception:
            log.exception("A run could not be kept")
