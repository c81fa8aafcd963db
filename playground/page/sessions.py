"""What the server remembers of a visitor: the run in front of them.

Keyed by Gradio's session hash. A gr.State would cost each tab a connection that stays open, and a
browser has six of them for one host.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from playground.arena import Run
from playground.lanes import Lane

MOST_SESSIONS = 256


class Session:
    """One visitor. Pressing Run makes a new ticket; Stop marks that ticket, not a later one."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.waiting = False  # Run was pressed and it has not begun
        self._ticket = 0
        self._stopped = 0

    @property
    def running(self) -> bool:
        return self.run is not None and not self.run.done.is_set()

    def take_ticket(self) -> None:
        self._ticket += 1
        self.waiting = True

    @property
    def stopped_in_queue(self) -> bool:
        return self._stopped == self._ticket

    def stop(self, lane: Lane | None = None) -> None:
        """Stop what runs, one lane or all; a run still in the queue will not begin."""
        if lane is None:
            self._stopped = self._ticket
        if self.run is not None and (lane is None or lane in self.run.lanes):
            self.run.stop(lane)


class Sessions:
    """The most recent visitors."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: str | None) -> Session:
        with self._lock:
            session = self._sessions.setdefault(key or "", Session())
            self._sessions.move_to_end(key or "")
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
            return session
