"""What the server remembers of each visitor.

Keyed by Gradio's session hash. A gr.State would cost each tab a connection that stays open, and a
browser allows six of them for one host.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

from playground.arena import Run
from playground.history import Entry
from playground.lanes.lane import Lane

MAX_SESSIONS = 256
PAGE_SIZE = 20  # entries of the history, at first and with each press of Show more


@dataclass
class HistoryView:
    """What a visitor sees of the history.

    comparing: the first entry of a comparison whose second is to be chosen. seen: the state of the
    history when it was listed, None before.
    """

    query: str = ""
    limit: int = PAGE_SIZE
    comparing: Entry | None = None
    seen: tuple[int, str] | None = None


class Ticket:
    """Run was pressed; Stop may withdraw it before the run begins."""

    stopped = False


class Session:
    """One visitor: the run in front of them, and those that wait for their turn."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self._tickets: deque[Ticket] = deque()
        self.seen: int | None = None  # Page.changes at the last update of the choices
        self.benchmark_seen: int | None = None  # BenchmarkJob.version at the last update
        self.benchmark_choice: tuple[list[str], str] | None = None  # lanes and model given to it
        self.history_view = HistoryView()

    @property
    def running(self) -> bool:
        """Whether a run of this visitor is under way."""
        return self.run is not None and not self.run.done.is_set()

    @property
    def waiting(self) -> bool:
        """Whether a run of this visitor waits for its turn."""
        return any(not ticket.stopped for ticket in self._tickets)

    def take_ticket(self) -> None:
        """Put a run in the queue."""
        self._tickets.append(Ticket())

    def use_ticket(self) -> bool:
        """Whether the run whose turn has come has not been stopped in the queue."""
        return not (self._tickets and self._tickets.popleft().stopped)

    def stop(self, lane: Lane | None = None) -> None:
        """Stop one lane, or the whole run; a run still in the queue will not begin."""
        if lane is None:
            for ticket in self._tickets:
                ticket.stopped = True
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
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
            return session
