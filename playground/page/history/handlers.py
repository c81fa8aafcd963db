"""The History tab's handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from playground.errors import BadInput, PlaygroundError
from playground.history import RUN, Entry, History
from playground.lanes.lane import Lane, parse, status
from playground.page.access import is_owner, require_owner
from playground.page.compare.handlers import MAX_COLUMNS, UNDER_WAY, CompareHandlers
from playground.page.components import Updates, event_data
from playground.page.history.comparison import ComparisonValue, comparison
from playground.page.history.entry import EntryValue, entry_value
from playground.page.history.export import export
from playground.page.history.listing import ListingValue, listing, unavailable
from playground.page.labels import lane_label
from playground.page.notes import NO_NOTE, note
from playground.page.sessions import PAGE_SIZE, HistoryView
from playground.runs.record import TOGETHER

if TYPE_CHECKING:
    from playground.page.history.tab import HistoryTab

GUEST = (
    "The history holds the prompts of the person at this machine, so nobody else can see it. "
    "What you ask here is not stored in it."
)
OFF = ("The history is off: the program was started with --no-history.", "Start it without that.")
GONE = ("This entry no longer exists.", "It was deleted in the meantime.")
FILLED = "Filled in as it was then. Press Run to ask again."


class HistoryHandlers:
    """The handlers of the tab. compare: the tab in which a run is repeated; file: downloads."""

    def __init__(
        self, tab: HistoryTab, compare: CompareHandlers, tabs: gr.Tabs, file: gr.HTML
    ) -> None:
        self.tab, self.compare, self.tabs, self.file = tab, compare, tabs, file
        self.history_writer = compare.arena.history_writer

    def history_view(self, request: gr.Request) -> HistoryView:
        """What this visitor sees of the history."""
        return self.compare.sessions[request.session_hash].history_view

    def store(self, request: gr.Request) -> History:
        """Raises BadInput for everybody but the owner, and if nothing is stored."""
        require_owner(request)
        if self.history_writer.history is None:
            raise BadInput(*OFF)
        return self.history_writer.history

    def entry(self, number: object, request: gr.Request) -> Entry:
        """The entry with that id. Raises PlaygroundError if it cannot be read."""
        entry = self.store(request).get(number) if type(number) is int else None
        if entry is None:
            raise BadInput(*GONE)
        return entry

    def entry_of(self, event: gr.EventData, request: gr.Request) -> Entry:
        """The entry whose id the event sent. Raises PlaygroundError if it cannot be read."""
        return self.entry(event_data(event).get("id"), request)

    # What the components show

    def listing(self, request: gr.Request) -> ListingValue:
        """The list up to this visitor's limit, or why there is none."""
        if not is_owner(request):
            return unavailable(GUEST)
        if self.history_writer.history is None:
            return unavailable(" ".join(OFF))
        view = self.history_view(request)
        view.seen = self.state()
        kind = view.comparing.kind if view.comparing else None
        try:
            store = self.store(request)
            # One for Show more, and one for the entry that is not compared with itself.
            matches = store.find(view.query, view.limit + 2, kind=kind)
            total = store.count()
        except PlaygroundError as error:
            return unavailable(str(error), error=True)
        return listing(matches, total, view, self.history_writer.notice)

    def state(self) -> tuple[int, str]:
        """Changes when the list may have changed."""
        return self.history_writer.kept, self.history_writer.notice

    def views(
        self,
        request: gr.Request,
        *,
        opened: EntryValue | None = None,
        compared: ComparisonValue | None = None,
        message: str = "",
    ) -> Updates:
        """The list, or the opened entry, or the comparison; and the line above them."""
        return {
            self.tab.listing: self.listing(request),
            self.tab.opened: opened,
            self.tab.compared: compared,
            self.tab.status: note(message),
        }

    def failure(self, error: PlaygroundError) -> Updates:
        """Everything stays, and the line above shows the error."""
        return {self.tab.status: note(error)}

    # What the events do

    def tick(self, request: gr.Request) -> Updates:
        """Once a second: the list, if it has changed since this visitor saw it."""
        unchanged = self.history_view(request).seen in (None, self.state())
        return {} if unchanged else {self.tab.listing: self.listing(request)}

    def find(self, text: str, request: gr.Request) -> ListingValue:
        """The entries that contain a text."""
        view = self.history_view(request)
        view.query, view.limit = str(text), PAGE_SIZE
        return self.listing(request)

    def more(self, request: gr.Request) -> ListingValue:
        """Show more of the list."""
        self.history_view(request).limit += PAGE_SIZE
        return self.listing(request)

    def open(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Open an entry, or compare it with the one chosen before."""
        view = self.history_view(request)
        try:
            entry = self.entry_of(event, request)
            if view.comparing is None:
                return self.views(request, opened=entry_value(entry))
            other = self.entry(view.comparing.id, request)
        except PlaygroundError as error:
            return self.failure(error)
        view.comparing = None
        return self.views(request, compared=comparison(other, entry))

    def close(self, request: gr.Request) -> Updates:
        """Back to the list, from an entry, a comparison or the choice of a second entry."""
        self.history_view(request).comparing = None
        return self.views(request)

    def choose_other(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Compare with …: show the list, to choose the second entry."""
        try:
            self.history_view(request).comparing = self.entry_of(event, request)
        except PlaygroundError as error:
            return self.failure(error)
        return self.views(request)

    def differ(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Show where a lane's answer differs from the reference."""
        try:
            entry = self.entry_of(event, request)
        except PlaygroundError as error:
            return self.failure(error)
        opened = entry_value(entry, differing=str(event_data(event).get("lane", "")))
        return {self.tab.opened: opened, self.tab.status: NO_NOTE}

    def delete(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Delete an entry, after the visitor has confirmed it."""
        try:
            entry = self.entry_of(event, request)
            self.store(request).delete(entry.id or 0)
        except PlaygroundError as error:
            return self.failure(error)
        return self.views(request, message="Deleted.")

    def delete_all(self, request: gr.Request) -> Updates:
        """Delete all entries, after the visitor has confirmed it."""
        try:
            count = self.store(request).delete_all()
        except PlaygroundError as error:
            return self.failure(error)
        return {**self.close(request), self.tab.status: note(f"Deleted all {count:,}.")}

    def export(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Hand a file to the browser; what: json, csv, markdown, or a chart's name."""
        data = event_data(event)
        try:
            entry = self.entry_of(event, request)
            other = self.entry(data["other"], request) if "other" in data else None
            file = export(entry, str(data.get("what")), other)
        except PlaygroundError as error:
            return self.failure(error)
        return {self.file: file, self.tab.status: NO_NOTE}

    def repeat(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Fill the Compare tab with the settings of a run, and select that tab."""
        try:
            entry = self.entry_of(event, request)
            if entry.kind != RUN or not entry.prompt:
                raise BadInput("Its prompt is not known.", "Only runs of Compare can be repeated.")
            session = self.compare.sessions[request.session_hash]
            if session.running or session.waiting:
                raise BadInput(UNDER_WAY)
            chosen, missing = usable(entry)
        except PlaygroundError as error:
            return self.failure(error)
        return self.filled(entry, chosen, missing, request)

    def filled(
        self, entry: Entry, chosen: list[Lane], missing: list[str], request: gr.Request
    ) -> Updates:
        """The Compare tab with the settings of a run. missing: why lanes are left out."""
        compare, settings = self.compare.tab, entry.settings
        names = [lane.name for lane in chosen]
        model = settings.model or self.compare.choices.model
        updates = self.compare.choose(names, model, request)
        if compare.names in updates:  # else they could not be chosen, and the status shows why
            updates[compare.names]["value"] = names
            updates[compare.status] = note(FILLED, missing)
        return {
            **updates,
            compare.prompt: entry.prompt,
            compare.system: getattr(settings, "system", None) or "",
            compare.mode: settings.mode or TOGETHER,
            compare.max_new_tokens: getattr(settings, "max_new_tokens", None) or 256,
            compare.temperature: settings.temperature or 0.0,
            self.tabs: gr.update(selected="compare"),
            self.tab.status: NO_NOTE,
        }


def usable(entry: Entry) -> tuple[list[Lane], list[str]]:
    """The lanes of a run that this machine has, and a sentence for each that is missing.

    Raises BadInput if none is left.
    """
    model = entry.settings.model or ""
    lanes: list[Lane] = []
    missing: list[str] = []
    for record in entry.records:
        try:
            lane = parse(record.lane)
            lane_status = status(lane, model)
        except PlaygroundError as error:
            missing.append(f"{record.lane}: {error.message}")
            continue
        if lane_status.status in ("ready", "needs-model"):
            lanes.append(lane)
        else:
            missing.append(f"{lane_label(lane)}: {lane_status.reason}")
    if not lanes:
        raise BadInput("This machine can run none of its lanes.", " ".join(missing))
    if len(lanes) > MAX_COLUMNS:
        missing.append(f"Only the first {MAX_COLUMNS} of its {len(lanes)} lanes have a column.")
    return lanes[:MAX_COLUMNS], missing
