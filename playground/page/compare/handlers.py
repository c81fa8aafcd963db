"""The Compare tab's handlers: one prompt, a column for each lane."""

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
from playground.page.compare import view
from playground.page.compare.strip import strip
from playground.page.sessions import Session, Sessions
from playground.runs.lane_run import LaneRun
from playground.runs.record import IN_TURN, TOGETHER
from playground.runs.request import Request

__all__ = ["HINT", "IN_TURN", "MAX_COLUMNS", "TOGETHER", "CompareHandlers"]

MAX_COLUMNS = 6
UNDER_WAY = "Your prompt is already under way. Stop it first."
HINT = "Press Run, or Ctrl+Enter in the prompt."
QUEUED = "Waiting for its turn."
BENCHMARK = "Waiting for the benchmark to end."
WAITING_S = 0.25  # between two looks whether it has
NEVER_BEGAN = "Stopped before it began."


class CompareHandlers:
    """The handlers of the tab, on one arena; choices: what a new visitor sees."""

    def __init__(self, arena: Arena, choices: Choices, benching: BenchmarkJob) -> None:
        self.arena, self.choices, self.benching = arena, choices, benching
        self.sessions = Sessions()

    @property
    def busy(self) -> bool:
        """Whether a new run would wait."""
        return self.arena.busy or self.benching.working

    # What the outputs show

    def cards(self, session: Session, names: list[str], model: str) -> list[Any]:
        """Values of the columns' cards; None for the columns that are not used."""
        shown = [self.card(session, parse(name), model) for name in names[:MAX_COLUMNS]]
        return shown + [None] * (MAX_COLUMNS - len(shown))

    def card(self, session: Session, lane: Lane, model: str) -> dict[str, Any]:
        run = session.run.lanes.get(lane) if session.run else None
        return view.card(self.arena.hosts[lane], run, self.arena.sampler.latest, model)

    def strip(self) -> dict[str, Any]:
        sampler = self.arena.sampler
        return strip(sampler.samples, self.busy, sampler.power_source.text)

    def columns(self, names: list[str]) -> list[Any]:
        return [gr.update(visible=n < len(names)) for n in range(MAX_COLUMNS)]

    # What the events do

    def arrive(self, request: gr.Request) -> list[Any]:
        """A new page: the lanes and the model of this program."""
        names = [lane.name for lane in self.choices.chosen]
        model = self.choices.model
        return [
            gr.update(choices=self.choices.of_lanes(model, request), value=names),
            gr.update(
                choices=self.choices.of_models(request),
                value=model,
                allow_custom_value=self.choices.may_name_models(request),
            ),
            *self.columns(names),
            *self.cards(Session(), names, model),
            view.note(HINT),
        ]

    def choose(self, names: list[str], model: str, request: gr.Request) -> list[Any]:
        """Load the chosen lanes with the model, unload the others, show their columns, emptied.

        What is wrong is said in the status line, and everything stays as it was.
        """
        try:
            chosen = parse_all(names)[:MAX_COLUMNS] if names else []
            model = self.choices.permit(model, chosen, request)
        except PlaygroundError as error:
            return [*[gr.skip()] * (3 * MAX_COLUMNS + 2), view.note(error)]
        session = self.sessions[request.session_hash]
        session.stop()  # its columns are no longer there
        session.run = None
        self.choices.choose(chosen, model)
        names = [lane.name for lane in chosen]
        return [
            gr.update(choices=self.choices.of_lanes(model, request)),
            gr.update(choices=self.choices.of_models(request), value=model),
            *self.columns(names),
            *self.cards(Session(), names, model),
            *[""] * MAX_COLUMNS,
            view.note(HINT),
        ]

    def tick(self, names: list[str], model: str, request: gr.Request) -> list[Any]:
        """Once a second: the gauges, and the cards unless a run of this visitor writes them."""
        session = self.sessions[request.session_hash]
        if session.running:
            return [self.strip(), *[gr.skip()] * MAX_COLUMNS]
        return [self.strip(), *self.cards(session, names, model)]

    def queue(self, request: gr.Request) -> dict[str, Any]:
        """Run was pressed; the run itself may have to wait for its turn."""
        session = self.sessions[request.session_hash]
        if session.running or session.waiting:
            raise gr.Error(UNDER_WAY, print_exception=False)  # and so the run is not queued
        session.take_ticket()
        queued = BENCHMARK if self.benching.working else QUEUED
        return view.note(queued if self.busy else "Starting …")

    async def run(
        self,
        prompt: str,
        system: str,
        names: list[str],
        model: str,
        mode: str,
        max_new_tokens: float,
        temperature: float,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """All columns of one run, 8 times a second, and last their final state."""
        session = self.sessions[request.session_hash]

        def nothing(status: str | PlaygroundError) -> list[Any]:
            cards = self.cards(session, names, model)
            return [*cards, *[""] * MAX_COLUMNS, view.note(status)]

        while self.benching.working and session.waiting:
            session.run = None  # the columns are empty
            yield nothing(BENCHMARK)
            await asyncio.sleep(WAITING_S)
        if not session.use_ticket():
            yield nothing(NEVER_BEGAN)
            return

        def begin() -> tuple[list[Lane], Run]:
            chosen = parse_all(names)[:MAX_COLUMNS]
            permitted = self.choices.permit(model, chosen, request)
            joining = [lane for lane in chosen if self.arena.hosts[lane].can_join(permitted)]
            for lane in set(chosen) - set(joining):
                self.arena.hosts[lane].load_in_background(permitted)
            lanes, tokens = tuple(joining or chosen), whole(max_new_tokens)
            asked = Request(prompt, lanes, mode, tokens, temperature, system, permitted)
            return chosen, self.benching.start_run(asked, keep=is_owner(request))

        try:
            chosen, run = await asyncio.to_thread(begin)  # it may wait for the devices to be known
            model = run.request.model
        except PlaygroundError as error:
            session.run = None
            yield nothing(error)
            return
        session.run = run
        try:
            while not run.done.is_set() and session.run is run:
                begun = any(each.t0 for each in run.lanes.values())
                status = "Running." if begun else run.waiting
                yield self.state(run, session, names, model, status)
                await asyncio.sleep(1 / STATES_HZ)
            if session.run is not run:  # other lanes were chosen: what is still on its way to the
                # browser may overtake the emptied columns, so the last word is said here too
                yield [*[gr.skip()] * MAX_COLUMNS, *[""] * MAX_COLUMNS, view.note(HINT)]
                return
            others = [self.arena.hosts[lane] for lane in chosen if lane not in run.lanes]
            summary = run.error or view.summary(list(run.lanes.values()), others)
            yield self.state(run, session, names, model, summary)
        finally:
            run.stop()

    def state(
        self,
        run: Run,
        session: Session,
        names: list[str],
        model: str,
        status: str | PlaygroundError,
    ) -> list[Any]:
        texts = [answer(run.lanes.get(parse(name))) for name in names[:MAX_COLUMNS]]
        texts += [""] * (MAX_COLUMNS - len(texts))
        return [*self.cards(session, names, model), *texts, view.note(status)]

    def stop(self, request: gr.Request) -> None:
        self.sessions[request.session_hash].stop()

    def stop_one(self, position: int) -> Callable[[list[str], gr.Request], None]:
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
        """One prompt on some lanes; streams states, the last one as `ask --json` prints it."""
        try:
            chosen = tuple(parse_all(lanes))
            model = self.choices.permit(self.choices.model, list(chosen), request)
            while self.benching.working:
                time.sleep(WAITING_S)
            run = self.benching.start_run(
                Request(prompt, chosen, mode, max_new_tokens, temperature, system, model),
                keep=is_owner(request),
            )
            try:
                yield from (state.as_json() for state in run.states())
            finally:
                run.stop()
        except PlaygroundError as error:
            raise gr.Error(str(error), print_exception=False) from error


def whole(number: float) -> int:
    """A slider's or a number box's value; anything else is left for Request to refuse."""
    return int(number) if isinstance(number, float) and number.is_integer() else number  # type: ignore[return-value]


def answer(run: LaneRun | None) -> str:
    return run.view().text if run else ""
