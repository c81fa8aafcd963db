"""The History tab: what was asked and measured, to find, open, compare, repeat, hand on, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.errors import BadInput, PlaygroundError
from playground.history import RUN, Entry, History
from playground.lanes import lane as lanes
from playground.lanes.lane import Lane
from playground.page.access import is_owner, only_owner
from playground.page.compare import view
from playground.page.compare.handlers import MAX_COLUMNS, UNDER_WAY, CompareHandlers
from playground.page.compare.tab import QUIET, CompareTab
from playground.page.components import html
from playground.page.history import comparison as history_pair
from playground.page.history import entry as history_run
from playground.page.history import export as history_export
from playground.page.history import listing as history_list
from playground.page.sessions import PAGE, HistoryView

GUEST = (
    "The history holds the prompts of the person at this machine, so nobody else sees it. "
    "What you ask here is not kept in it."
)
OFF = "Nothing is kept: the program was started with --no-history. Start it without that."
GONE = BadInput("It is no longer there.", "Somebody has deleted it meanwhile.")
NOTHING = view.note("")
SEARCH = "Find in prompts, models and lanes"
FILLED = "As it was asked then. Press Run to ask it again."

Json = dict[str, Any]


class HistoryHandlers:
    """The tab's handlers. compare: the tab that a run is repeated in."""

    def __init__(self, compare: CompareHandlers) -> None:
        self.compare, self.history_writer = compare, compare.arena.history_writer

    def history_view(self, request: gr.Request) -> HistoryView:
        return self.compare.sessions[request.session_hash].history_view

    def store(self, request: gr.Request) -> History:
        """Raises BadInput for everybody but the owner, and where nothing is kept."""
        only_owner(request)
        if self.history_writer.history is None:
            raise BadInput(OFF)
        return self.history_writer.history

    def entry(self, id: Any, request: gr.Request) -> Entry:
        """Raises PlaygroundError where it is not there, or not to be had."""
        found = self.store(request).get(id) if type(id) is int else None
        if found is None:
            raise GONE
        return found

    # What the outputs show

    def listed(self, request: gr.Request) -> Json:
        """As much of it as this visitor has asked for, or why there is none."""
        if not is_owner(request):
            return history_list.nothing(GUEST)
        if self.history_writer.history is None:
            return history_list.nothing(OFF)
        looking = self.history_view(request)
        looking.seen = self.state()
        try:
            store, first = self.store(request), looking.first
            found = store.find(
                looking.sought, looking.shown + 2, kind=first.kind if first else None
            )
            total = store.count()
        except PlaygroundError as error:
            return history_list.nothing(str(error), bad=True)
        return history_list.board(found, total, looking, self.history_writer.notice)

    def state(self) -> tuple[int, str]:
        """Changes when the list may have changed."""
        return self.history_writer.kept, self.history_writer.notice

    def refresh(self, request: gr.Request) -> Any:
        """The list, for whom it has changed since they saw it."""
        seen = self.history_view(request).seen
        return gr.skip() if seen in (None, self.state()) else self.listed(request)

    def views(
        self,
        request: gr.Request,
        *,
        run: Json | None = None,
        pair: Json | None = None,
        told: str | PlaygroundError = "",
    ) -> list[Any]:
        """List, opened run, comparison, the line above them: one of the first three is shown."""
        return [self.listed(request), run, pair, view.note(told)]

    def wrong(self, error: PlaygroundError) -> list[Any]:
        """Everything stays, and a line says why."""
        return [gr.skip(), gr.skip(), gr.skip(), view.note(error)]

    # What the events do

    def find(self, text: str, request: gr.Request) -> Json:
        looking = self.history_view(request)
        looking.sought, looking.shown = str(text), PAGE
        return self.listed(request)

    def more(self, request: gr.Request) -> Json:
        self.history_view(request).shown += PAGE
        return self.listed(request)

    def open(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """One of the list: to look at, or as the second of a comparison that was begun."""
        looking = self.history_view(request)
        try:
            entry = self.entry(asked(event).get("id"), request)
            if looking.first is None:
                return self.views(request, run=history_run.board(entry))
            first = self.entry(looking.first.id, request)
        except PlaygroundError as error:
            return self.wrong(error)
        looking.first = None
        return self.views(request, pair=history_pair.board(first, entry))

    def close(self, request: gr.Request) -> list[Any]:
        """Back to the list, whether a run, a comparison or a choice was open."""
        self.history_view(request).first = None
        return self.views(request)

    def begin_pair(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Compare with …: the list is shown, to choose the second."""
        try:
            self.history_view(request).first = self.entry(asked(event).get("id"), request)
        except PlaygroundError as error:
            return self.wrong(error)
        return self.views(request)

    def differ(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Mark where a lane's answer differs from the reference."""
        try:
            entry = self.entry(asked(event).get("id"), request)
        except PlaygroundError as error:
            return self.wrong(error)
        shown = history_run.board(entry, differing=str(asked(event).get("lane", "")))
        return [gr.skip(), shown, gr.skip(), NOTHING]

    def delete(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Delete the one that was confirmed."""
        try:
            entry = self.entry(asked(event).get("id"), request)
            self.store(request).delete(entry.id or 0)
        except PlaygroundError as error:
            return self.wrong(error)
        return self.views(request, told="Deleted.")

    def delete_all(self, request: gr.Request) -> list[Any]:
        """Delete all, which was confirmed."""
        try:
            gone = self.store(request).delete_all()
        except PlaygroundError as error:
            return self.wrong(error)
        return self.close(request)[:3] + [view.note(f"Deleted all {gone:,}.")]

    def export(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """A file for the browser to save; what: json, csv, markdown, or a chart's name."""
        wanted = asked(event)
        try:
            entry = self.entry(wanted.get("id"), request)
            other = self.entry(wanted["other"], request) if "other" in wanted else None
            return [history_export.file(entry, str(wanted.get("what")), other), NOTHING]
        except PlaygroundError as error:
            return [gr.skip(), view.note(error)]

    def repeat(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Everything of the Compare tab as that run had it, and that tab is selected."""
        try:
            entry = self.entry(asked(event).get("id"), request)
            if entry.kind != RUN or not entry.prompt:
                raise BadInput("Its prompt is not known.", "Only runs of Compare can be repeated.")
            session = self.compare.sessions[request.session_hash]
            if session.running or session.waiting:
                raise BadInput(UNDER_WAY)
            chosen, lacking = usable(entry)
        except PlaygroundError as error:
            return [*[gr.skip()] * (9 + 3 * MAX_COLUMNS), view.note(error)]
        return [*self.filled(entry, chosen, lacking, request), NOTHING]

    def filled(
        self, entry: Entry, chosen: list[Lane], lacking: list[str], request: gr.Request
    ) -> list[Any]:
        """In the order of CompareTab.everything and `asked_of`, and the tabs."""
        names, settings = [lane.name for lane in chosen], entry.settings
        model = settings.model or self.compare.choices.model
        lanes_, model_, *rest, status = self.compare.choose(names, model, request)
        if not status["bad"]:
            lanes_, status = {**lanes_, "value": names}, view.note(FILLED, lacking)
        values = [getattr(settings, name, None) or value for name, value in DEFAULTS.items()]
        return [lanes_, model_, *rest, status, *values, gr.update(selected="compare")]


DEFAULTS: Json = {
    "prompt": "",
    "system": "",
    "mode": "together",
    "max_new_tokens": 256,
    "temperature": 0.0,
}


def asked(event: gr.EventData) -> Json:
    return event._data if isinstance(event._data, dict) else {}


def usable(entry: Entry) -> tuple[list[Lane], list[str]]:
    """The lanes of a run that this machine has, and a sentence for each that it lacks.

    Raises BadInput when it has none of them.
    """
    model, found, lacking = entry.settings.model or "", [], []
    for record in entry.records:
        try:
            lane = lanes.parse(record.lane)
            status = lanes.status(lane, model)
        except PlaygroundError as error:
            lacking.append(f"{record.lane}: {error.message}")
            continue
        if status.status in ("ready", "needs-model"):
            found.append(lane)
        else:
            lacking.append(f"{view.label(lane)}: {status.reason}")
    if not found:
        raise BadInput("This machine can run none of its lanes.", " ".join(lacking))
    if len(found) > MAX_COLUMNS:
        lacking.append(f"Only the first {MAX_COLUMNS} of its {len(found)} lanes have a column.")
    return found[:MAX_COLUMNS], lacking


@dataclass(frozen=True)
class HistoryTab:
    """The components that events of the whole page fill."""

    list: gr.HTML


def build(handlers: HistoryHandlers, tab: gr.Tab, tabs: gr.Tabs, compare: CompareTab) -> HistoryTab:
    """Inside that tab: the list, or what was opened from it; with its events."""
    with gr.Row(elem_classes="owner-only browsing"):
        find = gr.Textbox(
            label=SEARCH, placeholder=SEARCH, lines=1, max_lines=1, container=False, elem_id="find"
        )
    told = html("note", NOTHING, elem_id="told-of-history")
    found = html("history", None, elem_id="history")
    run = html("entry", None, elem_id="opened")
    pair = html("comparison", None, elem_id="pair")
    file = html("file", None, elem_id="history-file")

    views = [found, run, pair, told]

    def on(event: Callable[..., Any], does: Callable[..., Any], outputs: list[Any]) -> None:
        event(does, None, outputs, **QUIET)

    # Not `input`: it tells of typing, not of pasting.
    find.change(handlers.find, find, found, trigger_mode="always_last", **QUIET)
    tab.select(handlers.listed, None, found, **QUIET)
    on(found.more, handlers.more, [found])
    on(found.open, handlers.open, views)
    on(found.back, handlers.close, views)
    on(found.erase, handlers.delete_all, views)
    on(run.back, handlers.close, views)
    on(run.choose, handlers.begin_pair, views)
    on(run.erase, handlers.delete, views)
    on(run.differ, handlers.differ, views)
    on(run.export, handlers.export, [file, told])
    on(run.repeat, handlers.repeat, [*compare.everything, *compare.asked, tabs, told])
    on(pair.back, handlers.close, views)
    on(pair.export, handlers.export, [file, told])
    return HistoryTab(found)
