"""The Benchmark tab: exact prompt lengths on some lanes, how it goes, its table and charts."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground import models
from playground.bench import plan as defaults
from playground.bench.plan import Plan
from playground.bench.results import as_text
from playground.errors import BadInput, PlaygroundError
from playground.history import to_csv
from playground.history.entry import Entry
from playground.lanes.lane import parse, parse_all
from playground.page.access import is_owner, only_owner
from playground.page.benchmark import view as bench_view
from playground.page.benchmark.job import BenchmarkJob
from playground.page.choices import Choices
from playground.page.compare import view
from playground.page.compare.tab import QUIET
from playground.page.components import html
from playground.page.history.export import MARK
from playground.page.sessions import Sessions
from playground.runs.record import IN_TURN

Asking = tuple[gr.Dropdown, gr.Dropdown, gr.Textbox, list[gr.Number], gr.Radio, gr.Button]
HINT = "Every lane reads prompts of exactly these lengths and writes the same number of tokens."


class BenchmarkHandlers:
    """The tab's handlers; `benching` goes on whoever watches."""

    def __init__(self, choices: Choices, benching: BenchmarkJob, sessions: Sessions) -> None:
        self.choices, self.benching, self.sessions = choices, benching, sessions
        self._saved = 0

    def job(self, request: gr.Request) -> dict[str, Any]:
        return self.benching.view(is_owner(request))

    def result(self, request: gr.Request) -> dict[str, Any]:
        """The table, noted as seen by this visitor."""
        job = self.benching
        self.sessions[request.session_hash].bench_seen = job.version  # before what it belongs to
        return bench_view.result(job.result, job.charts, job.state, owner=is_owner(request))

    def news(self, request: gr.Request) -> Any:
        """The table, skipped where this visitor has it already."""
        seen = self.sessions[request.session_hash].bench_seen == self.benching.version
        return gr.skip() if seen else self.result(request)

    def of_lanes(self, model: str, names: list[str], request: gr.Request) -> list[tuple[str, str]]:
        """The lanes to choose from: those of the Compare tab, and those that are chosen here."""
        chosen = view.labels(map(parse, names))
        return list(dict.fromkeys([*self.choices.of_lanes(model, request), *chosen]))

    # What the events do

    def arrive(self, request: gr.Request) -> list[Any]:
        """A new page: the model and the lanes of the Compare tab, and what was measured."""
        return [*self.follow(None, None, request), self.job(request), self.result(request)]

    def follow(self, names: list[str] | None, model: str | None, request: gr.Request) -> list[Any]:
        """The Compare tab's lanes and model, until others were chosen here."""
        session = self.sessions[request.session_hash]
        if session.bench_given != (names, model) and session.bench_given is not None:
            return [gr.skip(), gr.skip()]
        model, names = self.choices.model, [lane.name for lane in self.choices.chosen]
        session.bench_given = names, model
        return [
            gr.update(choices=self.of_lanes(model, names, request), value=names),
            gr.update(
                choices=self.choices.of_models(request),
                value=model,
                allow_custom_value=self.choices.may_name_models(request),
            ),
        ]

    def named(self, model: str, names: list[str], request: gr.Request) -> list[Any]:
        """A model was chosen or typed: its canonical name, its lanes."""
        try:
            only_owner(request)
            model = models.check(model)
        except PlaygroundError as error:
            return [gr.skip(), gr.skip(), view.note(error)]
        lanes = gr.update(choices=self.of_lanes(model, names, request))
        known = gr.update(choices=self.choices.of_models(request, model), value=model)
        return [lanes, known, view.note(HINT)]

    def check(
        self,
        names: list[str],
        model: str,
        lengths: str,
        new_tokens: float | None,
        runs: float | None,
        warmup: float | None,
        mode: str,
        request: gr.Request,
    ) -> dict[str, Any]:
        """How many runs these settings come to, or what is wrong with them."""
        try:
            only_owner(request)
            plan = self.plan(names, model, lengths, new_tokens, runs, warmup, mode)
        except PlaygroundError as error:
            return view.note(error)
        return view.note(bench_view.count(plan))

    def start(
        self,
        names: list[str],
        model: str,
        lengths: str,
        new_tokens: float | None,
        runs: float | None,
        warmup: float | None,
        mode: str,
        request: gr.Request,
    ) -> list[Any]:
        try:
            only_owner(request)
            plan = self.plan(names, model, lengths, new_tokens, runs, warmup, mode)
            self.benching.start(plan)
        except PlaygroundError as error:
            return [view.note(error), gr.skip(), gr.skip()]
        return [view.note(bench_view.count(plan)), self.job(request), self.result(request)]

    def call_off(self, request: gr.Request) -> dict[str, Any]:
        if is_owner(request):
            self.benching.cancel()
        return self.job(request)

    def save(self, event: gr.EventData, request: gr.Request) -> Any:
        """A file of the result, for the browser to keep: `{"kind": "json" | "csv" | "png"}`."""
        asked = event._data if isinstance(event._data, dict) else {}
        kept = self.file(str(asked.get("kind")), str(asked.get("name")))
        if not is_owner(request) or kept is None:
            return gr.skip()
        name, content = kept
        self._saved += 1  # else the same file twice would be no news to the browser
        return {"name": name, "data": base64.b64encode(content).decode(), "number": self._saved}

    def file(self, kind: str, name: str) -> tuple[str, bytes] | None:
        """Its name and content; None where there is no such thing."""
        result, charts = self.benching.result, self.benching.charts
        if result is None:
            return None
        if kind == "png":
            return next(
                ((f"{each.name}.png", each.png) for each in charts if each.name == name), None
            )
        makers = {"json": as_text, "csv": lambda found: MARK + to_csv([Entry(found)])}
        return (f"benchmark.{kind}", makers[kind](result).encode()) if kind in makers else None

    def plan(
        self,
        names: list[str],
        model: str,
        lengths: str,
        new_tokens: float | None,
        runs: float | None,
        warmup: float | None,
        mode: str,
    ) -> Plan:
        """Raises BadInput for what cannot be measured."""
        return Plan(
            lanes=tuple(parse_all(names)) if names else (),
            model=models.check(model),
            prompt_tokens=whole_numbers(lengths),
            new_tokens=whole("number of new tokens", new_tokens),
            runs=whole("number of runs", runs),
            warmup=whole("number of warm-up runs", warmup),
            mode=mode,
        )


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "32, 256 512" → 32, 256, 512. Raises BadInput."""
    parts = re.split(r"[\s,;]+", text.strip(" ,;\n\t"))
    if not all(re.fullmatch(r"-?[0-9]{1,9}", part) for part in parts if part):
        raise BadInput(
            f"“{text}” is no list of prompt lengths.", "Write whole numbers, such as 32, 256, 512."
        )
    return tuple(int(part) for part in parts if part)


def whole(what: str, value: float | None) -> Any:
    """A number box's value; what is no whole number is left for Plan to refuse."""
    if value is None:
        raise BadInput(f"The {what} is missing.", "Give a whole number.")
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class BenchmarkTab:
    """The components that events of the whole page fill."""

    names: gr.Dropdown
    model: gr.Dropdown
    job: gr.HTML
    result: gr.HTML


def build(handlers: BenchmarkHandlers, tab: gr.Tab) -> BenchmarkTab:
    """Inside that tab: what to measure, how it goes, what was measured; with its events."""
    with gr.Column(elem_classes="owner-only", elem_id="bench-ask"):
        names, model, lengths, numbers, mode, start = ask()
        note = html("note", view.note(HINT), elem_id="bench-note")
    job = html("job", None, elem_id="benching")
    result = html("benchmark", None, elem_id="bench")
    file = html("file", None, elem_id="bench-file")

    settings = [names, model, lengths, *numbers, mode]
    model.input(handlers.named, [model, names], [names, model, note], **QUIET)
    # Gradio 6.31's one-line text box tells of no `input`.
    changed = [names.input, lengths.change, *(each.input for each in numbers), mode.input]
    gr.on(changed, handlers.check, settings, note, trigger_mode="always_last", **QUIET)
    gr.on([start.click, lengths.submit], handlers.start, settings, [note, job, result], **QUIET)
    job.cancel(handlers.call_off, None, job, **QUIET)
    result.save(handlers.save, None, file, **QUIET)
    tab.select(handlers.follow, [names, model], [names, model], **QUIET)
    return BenchmarkTab(names, model, job, result)


def ask() -> Asking:
    """Lanes and model are filled when a page arrives."""
    with gr.Row():
        model = gr.Dropdown(
            [], value=None, label="Model", scale=3, min_width=240, elem_id="bench-model"
        )
        names = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label="Lanes",
            scale=7,
            min_width=260,
            elem_id="bench-lanes",
        )
    with gr.Row(elem_id="bench-settings"):
        lengths = gr.Textbox(
            ", ".join(map(str, defaults.PROMPT_TOKENS)),
            label="Prompt lengths, in tokens",
            max_lines=1,
            scale=3,
            min_width=260,
            elem_id="bench-lengths",
        )
        numbers = [
            gr.Number(value, label=label, precision=0, min_width=80, elem_id=f"bench-{name}")
            for name, label, value in (
                ("new-tokens", "New tokens", defaults.NEW_TOKENS),
                ("runs", "Runs", defaults.RUNS),
                ("warm-up", "Warm-up", defaults.WARMUP),
            )
        ]
        mode = gr.Radio(
            [(label, name) for name, label in bench_view.MODES.items()],
            value=IN_TURN,
            label="Mode",
            scale=3,
            min_width=210,
            elem_id="bench-mode",
        )
        with gr.Column(scale=1, min_width=130, elem_classes="stacked"):
            start = gr.Button("Start", variant="primary", elem_id="bench-start")
    return names, model, lengths, numbers, mode, start
