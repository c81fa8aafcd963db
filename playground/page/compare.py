"""The page: one prompt, a column for each lane. Pure functions, then layout, then events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import gradio as gr

from playground.arena import STATES_HZ, Arena, Run
from playground.errors import PlaygroundError
from playground.gauges.sampler import Sampler
from playground.lanes import Lane, parse, parse_all
from playground.page import view
from playground.page.components import html
from playground.page.sessions import Session, Sessions
from playground.record import IN_TURN, TOGETHER, LaneRun, Request

MOST_COLUMNS = 6
# One queue for the page and the API: the devices are shared.
DEVICES: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "devices"}
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
UNDER_WAY = "Your prompt is already under way. Stop it first."
HINT = "Press Run, or Ctrl+Enter in the prompt."


class Compare:
    """The handlers of the page, on one arena."""

    def __init__(self, arena: Arena, sampler: Sampler, chosen: list[Lane], model: str) -> None:
        self.arena, self.sampler = arena, sampler
        self.chosen, self.model = chosen, model  # what a new visitor sees
        self.sessions = Sessions()

    # What the outputs show

    def cards(self, session: Session, names: list[str]) -> list[Any]:
        """Values of the columns' cards; None for the columns that are not used."""
        shown = [self.card(session, parse(name)) for name in names[:MOST_COLUMNS]]
        return shown + [None] * (MOST_COLUMNS - len(shown))

    def card(self, session: Session, lane: Lane) -> dict[str, Any]:
        run = session.run.lanes.get(lane) if session.run else None
        return view.card(self.arena.hosts[lane], run, self.sampler.latest.workers.get(lane.name))

    def strip(self) -> dict[str, Any]:
        return view.strip(list(self.sampler.ring), self.arena.busy)

    # What the events do

    def arrive(self) -> list[Any]:
        """A new page: the lanes of this program and their columns."""
        names = [lane.name for lane in self.chosen]
        return [names, *self.columns(names), *self.cards(Session(), names), self.strip()]

    def columns(self, names: list[str]) -> list[Any]:
        return [gr.update(visible=n < len(names)) for n in range(MOST_COLUMNS)]

    def choose(self, names: list[str], request: gr.Request) -> list[Any]:
        """Load the chosen lanes, unload the others, show their columns, emptied."""
        session = self.sessions[request.session_hash]
        session.stop()  # its columns are no longer there
        session.run = None
        try:
            chosen = parse_all(names)[:MOST_COLUMNS] if names else []
        except PlaygroundError as error:
            raise gr.Error(str(error), print_exception=False) from error
        self.chosen = chosen
        self.arena.hosts.choose(chosen, self.model)
        names = [lane.name for lane in chosen]
        return [*self.columns(names), *self.cards(Session(), names), *[""] * MOST_COLUMNS]

    def tick(self, names: list[str], request: gr.Request) -> list[Any]:
        """Once a second: the gauges, and the cards unless a run of this visitor writes them."""
        session = self.sessions[request.session_hash]
        if session.running:
            return [self.strip(), *[gr.skip()] * MOST_COLUMNS]
        return [self.strip(), *self.cards(session, names)]

    def queue(self, request: gr.Request) -> str:
        """Run was pressed; the run itself may have to wait for its turn."""
        session = self.sessions[request.session_hash]
        if session.running or session.waiting:
            raise gr.Error(UNDER_WAY, print_exception=False)  # and so the run is not queued
        session.take_ticket()
        return "The engines are busy; waiting for its turn." if self.arena.busy else "Starting …"

    async def run(
        self,
        prompt: str,
        system: str,
        names: list[str],
        mode: str,
        max_new_tokens: float,
        temperature: float,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """All columns of one run, 8 times a second, and last their final state."""
        session = self.sessions[request.session_hash]
        if not session.use_ticket():
            yield [*self.cards(session, names), *[""] * MOST_COLUMNS, "Stopped before it began."]
            return
        try:
            chosen = parse_all(names)[:MOST_COLUMNS]
            joining = [lane for lane in chosen if self.arena.hosts[lane].can_join(self.model)]
            for lane in set(chosen) - set(joining):
                self.arena.hosts[lane].want(self.model)
            run = self.arena.start(
                Request(
                    prompt,
                    tuple(joining or chosen),
                    mode,
                    whole(max_new_tokens),
                    temperature,
                    system,
                    self.model,
                )
            )
        except PlaygroundError as error:
            session.run = None
            yield [*self.cards(session, names), *[""] * MOST_COLUMNS, str(error)]
            return
        session.run = run
        try:
            while not run.done.is_set() and session.run is run:
                begun = any(each.t0 for each in run.lanes.values())
                status = "Running." if begun else "Waiting until all lanes are loaded."
                yield self.state(run, session, names, status)
                await asyncio.sleep(1 / STATES_HZ)
            if session.run is not run:  # other lanes were chosen: what is still on its way to the
                # browser may overtake the emptied columns, so the last word is said here too
                yield [*[gr.skip()] * MOST_COLUMNS, *[""] * MOST_COLUMNS, HINT]
                return
            others = [self.arena.hosts[lane] for lane in chosen if lane not in run.lanes]
            status = str(run.error or view.summary(list(run.lanes.values()), others))
            yield self.state(run, session, names, status)
        finally:
            run.stop()

    def state(self, run: Run, session: Session, names: list[str], status: str) -> list[Any]:
        texts = [answer(run.lanes.get(parse(name))) for name in names[:MOST_COLUMNS]]
        texts += [""] * (MOST_COLUMNS - len(texts))
        return [*self.cards(session, names), *texts, status]

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
        prompt: str,
        lanes: list[str],
        mode: str = TOGETHER,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        system: str = "",
    ) -> Iterator[dict[str, Any]]:
        """One prompt on some lanes; streams states, the last one as `ask --json` prints it."""
        try:
            run = self.arena.start(
                Request(
                    prompt,
                    tuple(parse_all(lanes)),
                    mode,
                    max_new_tokens,
                    temperature,
                    system,
                    self.model,
                )
            )
            try:
                yield from run.states()
            finally:
                run.stop()
        except PlaygroundError as error:
            raise gr.Error(str(error), print_exception=False) from error


def whole(number: float) -> int:
    """A slider's or a number box's value; anything else is left for Request to refuse."""
    return int(number) if isinstance(number, float) and number.is_integer() else number  # type: ignore[return-value]


def answer(run: LaneRun | None) -> str:
    return run.view()["text"] if run else ""


def build(compare: Compare) -> gr.Blocks:
    """The page's layout and events."""
    with gr.Blocks(title="AI PC Playground", analytics_enabled=False) as page:
        strip = html("strip", compare.strip())
        with gr.Row(elem_id="ask", equal_height=True):
            prompt = gr.Textbox(
                label="Prompt",
                placeholder="Ask all engines the same …",
                lines=2,
                max_lines=8,
                scale=6,
                min_width=260,
                elem_id="prompt",
            )
            system = gr.Textbox(
                label="System prompt",
                placeholder="the model's own",
                lines=2,
                max_lines=8,
                scale=3,
                min_width=200,
                elem_id="system",
            )
            mode = gr.Radio(
                [("Together, a race", TOGETHER), ("In turn, each alone", IN_TURN)],
                value=TOGETHER,
                label="Mode",
                scale=2,
                min_width=210,
                elem_id="mode",
            )
            with gr.Column(scale=1, min_width=130, elem_id="buttons"):
                run = gr.Button("Run", variant="primary", elem_id="run")
                stop = gr.Button("Stop", elem_id="stop")
        with gr.Row(elem_id="settings"):
            names = gr.Dropdown(
                view.labels(compare.chosen),
                value=[lane.name for lane in compare.chosen],
                multiselect=True,
                max_choices=MOST_COLUMNS,
                label=f"Lanes, answering with {compare.model}",
                scale=7,
                min_width=260,
                elem_id="lanes",
            )
            max_new_tokens = gr.Number(
                256, label="Max new tokens", precision=0, min_width=160, elem_id="max-new-tokens"
            )
            temperature = gr.Number(
                0, label="Temperature", step=0.1, min_width=130, elem_id="temperature"
            )
        status = gr.Markdown(HINT, elem_id="status")
        columns, cards, answers = [], [], []
        with gr.Row(elem_id="columns", equal_height=True):
            for position in range(MOST_COLUMNS):
                used = position < len(compare.chosen)
                with gr.Column(
                    visible=used, min_width=260, elem_classes=["lane", f"lane-{position}"]
                ) as column:
                    columns.append(column)
                    cards.append(html("card", None))
                    answers.append(
                        gr.Markdown("", elem_classes="answer", sanitize_html=True, line_breaks=True)
                    )

        # Events
        page.load(compare.arrive, None, [names, *columns, *cards, strip], **QUIET)
        gr.Timer(1).tick(compare.tick, names, [strip, *cards], **QUIET)
        names.input(compare.choose, names, [*columns, *cards, *answers], **QUIET)
        gr.on([run.click, prompt.submit], compare.queue, None, status, **QUIET).success(
            compare.run,
            [prompt, system, names, mode, max_new_tokens, temperature],
            [*cards, *answers, status],
            show_progress="minimal",
            show_progress_on=status,
            api_visibility="private",
            **DEVICES,
        )
        stop.click(compare.stop, None, None, **QUIET)
        for position, card in enumerate(cards):
            card.click(compare.stop_one(position), names, None, **QUIET)
        gr.api(compare.compare, api_name="compare", **DEVICES)
    return page
