"""The Compare tab's handlers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import gradio as gr

from playground.arena import STATES_HZ, Arena, Run
from playground.errors import PlaygroundError
from playground.lanes.lane import Lane, parse, parse_all
from playground.page.access import is_owner
from playground.page.benchmark.job import BenchmarkJob
from playground.page.choices import Choices
from playground.page.compare.card import card, summary
from playground.page.compare.tab import HINT, MAX_COLUMNS, CompareTab
from playground.page.components import QUIET, Inputs, Json, Updates
from playground.page.notes import note, notes_errors
from playground.page.sessions import Session, Sessions
from playground.runs.lane_run import LaneRun
from playground.runs.record import TOGETHER
from playground.runs.request import Request

# One queue for the page and the API: the devices are shared.
DEVICES: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "devices"}
STARTING = "Starting …"
UNDER_WAY = "Your prompt is already running. Stop it first."
QUEUED = "Waiting for its turn."
BENCHMARK = "Waiting for the benchmark to end."
NEVER_BEGAN = "Stopped before it began."
BENCHMARK_POLL_S = 0.25


class CompareHandlers:
    """The handlers of the tab. choices: what a new visitor sees."""

    def __init__(
        self, arena: Arena, choices: Choices, benchmark: BenchmarkJob, sessions: Sessions
    ) -> None:
        self.arena, self.choices = arena, choices
        self.benchmark, self.sessions = benchmark, sessions
        self.tab = CompareTab(len(choices.chosen))
        self._connect()

    def _connect(self) -> None:
        tab = self.tab
        for chosen in (tab.names, tab.model):
            chosen.input(self.choose, [tab.names, tab.model], tab.choices, **QUIET)
        gr.on([tab.run.click, tab.prompt.submit], self.queue, None, tab.status, **QUIET).success(
            self.run,
            tab.request,
            tab.results,
            show_progress="minimal",
            show_progress_on=tab.status,
            api_visibility="private",
            **DEVICES,
        )
        tab.stop.click(self.stop, None, None, **QUIET)
        for position, column in enumerate(tab.cards):
            column.click(self.stop_column(position), tab.names, None, **QUIET)

    # What the components show

    def card(self, session: Session, lane: Lane, model: str) -> Json:
        """The card of one lane."""
        run = session.run.lanes.get(lane) if session.run else None
        return card(self.arena.hosts[lane], run, self.arena.sampler.latest, model)

    def cards(self, session: Session, names: list[str], model: str) -> Updates:
        """The cards of the columns in use."""
        columns = zip(self.tab.cards, names, strict=False)
        return {card: self.card(session, parse(name), model) for card, name in columns}

    def answers(self, run: Run, names: list[str]) -> Updates:
        """The answers so far, in the columns in use."""
        columns = zip(self.tab.answers, names, strict=False)
        return {answer: text(run.lanes.get(parse(name))) for answer, name in columns}

    def no_answers(self) -> Updates:
        """All answers emptied."""
        return {answer: "" for answer in self.tab.answers}

    def status(self, message: str | PlaygroundError) -> Updates:
        """The line between the settings and the columns."""
        return {self.tab.status: note(message)}

    def new_columns(self, names: list[str], model: str) -> Updates:
        """As many columns as lanes, without answers."""
        visible: Updates = {
            column: gr.update(visible=position < len(names))
            for position, column in enumerate(self.tab.columns)
        }
        emptied: Updates = {card: None for card in self.tab.cards}
        cards = self.cards(Session(), names, model)
        return {**visible, **emptied, **cards, **self.no_answers(), **self.status(HINT)}

    # What the events do

    def arrive(self, request: gr.Request) -> Updates:
        """A new page: the lanes and the model of this program."""
        names = [lane.name for lane in self.choices.chosen]
        model = self.choices.model
        return {
            self.tab.names: gr.update(choices=self.choices.lanes(model, request), value=names),
            self.tab.model: gr.update(
                choices=self.choices.models(request),
                value=model,
                allow_custom_value=is_owner(request),
            ),
            **self.new_columns(names, model),
        }

    @notes_errors
    def choose(self, names: list[str], model: str, request: gr.Request) -> Updates:
        """Load the chosen lanes with the model, unload the others, show their columns, emptied."""
        chosen = parse_all(names)[:MAX_COLUMNS] if names else []
        model = self.choices.permit(model, chosen, request)
        session = self.sessions[request.session_hash]
        session.stop()  # its columns are no longer there
        session.run = None
        self.choices.choose(chosen, model)
        return {
            self.tab.names: gr.update(choices=self.choices.lanes(model, request)),
            self.tab.model: gr.update(choices=self.choices.models(request), value=model),
            **self.new_columns([lane.name for lane in chosen], model),
        }

    def tick(self, names: list[str], model: str, request: gr.Request) -> Updates:
        """Once a second: the cards, unless a run of this visitor updates them."""
        session = self.sessions[request.session_hash]
        return {} if session.running else self.cards(session, names, model)

    def queue(self, request: gr.Request) -> Json:
        """Run was pressed; the run itself may have to wait for its turn."""
        session = self.sessions[request.session_hash]
        if session.running or session.waiting:
            raise gr.Error(UNDER_WAY, print_exception=False)  # and so the run is not queued
        session.take_ticket()
        queued = BENCHMARK if self.benchmark.working else QUEUED
        return note(queued if self.benchmark.busy else STARTING)

    async def run(self, values: Inputs, request: gr.Request) -> AsyncIterator[Updates]:
        """All columns of one run, 8 times a second, and finally their last state."""
        session = self.sessions[request.session_hash]
        names, model = values[self.tab.names], values[self.tab.model]

        def nothing(message: str | PlaygroundError) -> Updates:
            session.run = None
            cards = self.cards(session, names, model)
            return {**cards, **self.no_answers(), **self.status(message)}

        while self.benchmark.working and session.waiting:
            yield nothing(BENCHMARK)
            await asyncio.sleep(BENCHMARK_POLL_S)
        if not session.use_ticket():
            yield nothing(NEVER_BEGAN)
            return
        try:
            # In a thread: it may wait for the devices to be probed.
            chosen, run = await asyncio.to_thread(self.start, values, request)
        except PlaygroundError as error:
            yield nothing(error)
            return
        session.run = run
        try:
            while not run.done.is_set() and session.run is run:
                begun = any(lane_run.t0 for lane_run in run.lanes.values())
                yield self.state(session, run, names, "Running." if begun else run.waiting)
                await asyncio.sleep(1 / STATES_HZ)
            if session.run is run:
                others = [self.arena.hosts[lane] for lane in chosen if lane not in run.lanes]
                outcome = run.error or summary(list(run.lanes.values()), others)
                yield self.state(session, run, names, outcome)
            else:  # other lanes were chosen: an update still on its way to the browser may
                # overtake the one that emptied the columns, so they are emptied here too
                yield {**self.no_answers(), **self.status(HINT)}
        finally:
            run.stop()

    def start(self, values: Inputs, request: gr.Request) -> tuple[list[Lane], Run]:
        """Start the chosen lanes that can join, load the others for the next run.

        Raises PlaygroundError for what cannot be run.
        """
        tab = self.tab
        chosen = parse_all(values[tab.names])[:MAX_COLUMNS]
        model = self.choices.permit(values[tab.model], chosen, request)
        joining = [lane for lane in chosen if self.arena.hosts[lane].can_join(model)]
        for lane in set(chosen) - set(joining):
            self.arena.hosts[lane].load_in_background(model)
        question = Request(
            prompt=values[tab.prompt],
            lanes=tuple(joining or chosen),
            mode=values[tab.mode],
            max_new_tokens=values[tab.max_new_tokens],
            temperature=values[tab.temperature],
            system=values[tab.system],
            model=model,
        )
        return chosen, self.benchmark.start_run(question, keep=is_owner(request))

    def state(
        self, session: Session, run: Run, names: list[str], message: str | PlaygroundError
    ) -> Updates:
        """Cards, answers and status of a run."""
        cards = self.cards(session, names, run.request.model)
        return {**cards, **self.answers(run, names), **self.status(message)}

    def stop(self, request: gr.Request) -> None:
        """Stop all lanes of this visitor's run, or take it out of the queue."""
        self.sessions[request.session_hash].stop()

    def stop_column(self, position: int) -> Callable[[list[str], gr.Request], None]:
        """The handler of the Stop button in that column."""

        def stop(names: list[str], request: gr.Request) -> None:
            if position < len(names):
                self.sessions[request.session_hash].stop(parse(names[position]))

        return stop

    def compare(
        self,
        request: gr.Request,
        prompt: str,
        lanes: list[str],
        mode: str = TOGETHER,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        system: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Run one prompt on some lanes; streams states, the last one as `ask --json` prints it."""
        try:
            chosen = tuple(parse_all(lanes))
            model = self.choices.permit(self.choices.model, list(chosen), request)
            while self.benchmark.working:
                time.sleep(BENCHMARK_POLL_S)
            run = self.benchmark.start_run(
                Request(prompt, chosen, mode, max_new_tokens, temperature, system, model),
                keep=is_owner(request),
            )
            try:
                yield from (state.as_json() for state in run.states())
            finally:
                run.stop()
        except PlaygroundError as error:
            raise gr.Error(str(error), print_exception=False) from error


def text(run: LaneRun | None) -> str:
    """The answer so far."""
    return run.view().text if run else ""
