"""The History tab's handlers."""

from __future__ import annotations

import gradio as gr

from playground.errors import BadInput, PlaygroundError
from playground.history import RUN, Entry, History
from playground.lanes.lane import Lane, parse, status
from playground.page.access import is_owner, require_owner
from playground.page.compare.handlers import UNDER_WAY, CompareHandlers
from playground.page.compare.tab import MAX_COLUMNS
from playground.page.components import QUIET, Json, Updates, event_data
from playground.page.history.comparison import comparison
from playground.page.history.entry import entry_value
from playground.page.history.export import export
from playground.page.history.listing import listing, unavailable
from playground.page.history.tab import HistoryTab
from playground.page.labels import lane_label
from playground.page.notes import NO_NOTE, note, notes_errors
from playground.page.sessions import PAGE_SIZE, HistoryView
from playground.runs.record import TOGETHER

GUEST = (
    "The history holds the prompts of the person at this machine, so nobody else can see it. "
    "What you ask here is not stored in it."
)
OFF = ("The history is off: the program was started with --no-history.", "Start it without that.")
GONE = ("This entry no longer exists.", "It was deleted in the meantime.")
FILLED = "Filled in as it was then. Press Run to ask again."


class HistoryHandlers:
    """The handlers of the tab. compare: the tab in which a run is repeated; file: downloads."""

    def __init__(self, compare: CompareHandlers, tabs: gr.Tabs, file: gr.HTML) -> None:
        self.compare, self.tabs, self.file = compare, tabs, file
        self.history_writer = compare.arena.history_writer
        self.tab = HistoryTab()
        self._connect()

    def _connect(self) -> None:
        tab, compare = self.tab, self.compare.tab
        tab.container.select(self.listing, None, tab.listing, **QUIET)
        # Not `input`, which is not sent for pasted text.
        tab.find.change(self.find, tab.find, tab.listing, trigger_mode="always_last", **QUIET)
        tab.listing.more(self.more, None, tab.listing, **QUIET)
        tab.listing.open(self.open, None, tab.views, **QUIET)
        tab.listing.erase(self.delete_all, None, tab.views, **QUIET)
        tab.opened.choose(self.choose_other, None, tab.views, **QUIET)
        tab.opened.erase(self.delete, None, tab.views, **QUIET)
        tab.opened.differ(self.differ, None, tab.views, **QUIET)
        for view in (tab.listing, tab.opened, tab.compared):
            view.back(self.close, None, tab.views, **QUIET)
        for view in (tab.opened, tab.compared):
            view.export(self.export, None, [self.file, tab.status], **QUIET)
        filled = [*compare.choices, *compare.request, self.tabs, tab.status]
        tab.opened.repeat(self.repeat, None, list(dict.fromkeys(filled)), **QUIET)

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

    def listing(self, request: gr.Request) -> Json:
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
        opened: Json | None = None,
        compared: Json | None = None,
        message: str = "",
    ) -> Updates:
        """The list, or the opened entry, or the comparison; and the line above them."""
        return {
            self.tab.listing: self.listing(request),
            self.tab.opened: opened,
            self.tab.compared: compared,
            self.tab.status: note(message),
        }

    # What the events do

    def tick(self, request: gr.Request) -> Updates:
        """Once a second: the list, if it has changed since this visitor saw it."""
        unchanged = self.history_view(request).seen in (None, self.state())
        return {} if unchanged else {self.tab.listing: self.listing(request)}

    def find(self, text: str, request: gr.Request) -> Json:
        """The entries that contain a text."""
        view = self.history_view(request)
        view.query, view.limit = str(text), PAGE_SIZE
        return self.listing(request)

    def more(self, request: gr.Request) -> Json:
        """Show more of the list."""
        self.history_view(request).limit += PAGE_SIZE
        return self.listing(request)

    @notes_errors
    def open(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Open an entry, or compare it with the one chosen before."""
        view = self.history_view(request)
        entry = self.entry_of(event, request)
        if view.comparing is None:
            return self.views(request, opened=entry_value(entry))
        other = self.entry(view.comparing.id, request)
        view.comparing = None
        return self.views(request, compared=comparison(other, entry))

    def close(self, request: gr.Request) -> Updates:
        """Back to the list, from an entry, a comparison or the choice of a second entry."""
        self.history_view(request).comparing = None
        return self.views(request)

    @notes_errors
    def choose_other(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Compare with …: show the list, to choose the second entry."""
        self.history_view(request).comparing = self.entry_of(event, request)
        return self.views(request)

    @notes_errors
    def differ(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Show where a lane's answer differs from the reference."""
        entry = self.entry_of(event, request)
        opened = entry_value(entry, differing=str(event_data(event).get("lane", "")))
        return {self.tab.opened: opened, self.tab.status: NO_NOTE}

    @notes_errors
    def delete(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Delete an entry, after the visitor has confirmed it."""
        entry = self.entry_of(event, request)
        self.store(request).delete(entry.id or 0)
        return self.views(request, message="Deleted.")

    @notes_errors
    def delete_all(self, request: gr.Request) -> Updates:
        """Delete all entries, after the visitor has confirmed it."""
        count = self.store(request).delete_all()
        return {**self.close(request), self.tab.status: note(f"Deleted all {count:,}.")}

    @notes_errors
    def export(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Hand a file to the browser; what: json, csv, markdown, or a chart's name."""
        data = event_data(event)
        entry = self.entry_of(event, request)
        other = self.entry(data["other"], request) if "other" in data else None
        file = export(entry, str(data.get("what")), other)
        return {self.file: file, self.tab.status: NO_NOTE}

    @notes_errors
    def repeat(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Fill the Compare tab with the settings of a run, and select that tab."""
        entry = self.entry_of(event, request)
        if entry.kind != RUN or not entry.prompt:
            raise BadInput("Its prompt is not known.", "Only runs of Compare can be repeated.")
        session = self.compare.sessions[request.session_hash]
        if session.running or session.waiting:
            raise BadInput(UNDER_WAY)
        chosen, missing = usable(entry)
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
