"""The Benchmark tab's handlers."""

from __future__ import annotations

import re

import gradio as gr

from playground import models
from playground.bench.plan import Plan
from playground.bench.results import as_text
from playground.errors import BadInput
from playground.history import to_csv
from playground.history.entry import Entry
from playground.lanes.lane import parse, parse_all
from playground.page.access import is_owner, require_owner
from playground.page.benchmark.job import BenchmarkJob
from playground.page.benchmark.tab import HINT, BenchmarkTab
from playground.page.benchmark.view import benchmark_value, run_count
from playground.page.choices import Choices
from playground.page.components import QUIET, Inputs, Json, Updates, download, event_data
from playground.page.history.export import UTF8_BOM
from playground.page.labels import lane_choices
from playground.page.notes import note, notes_errors
from playground.page.sessions import Sessions


class BenchmarkHandlers:
    """The handlers of the tab; its job is the same for all visitors. file: downloads."""

    def __init__(
        self, choices: Choices, job: BenchmarkJob, sessions: Sessions, file: gr.HTML
    ) -> None:
        self.choices, self.job, self.sessions, self.file = choices, job, sessions, file
        self.tab = BenchmarkTab()
        self._connect()

    def _connect(self) -> None:
        tab = self.tab
        choice = [tab.names, tab.model]
        tab.container.select(self.follow, choice, choice, **QUIET)
        tab.model.input(self.choose_model, [tab.model, tab.names], [*choice, tab.status], **QUIET)
        changes = [
            tab.names.input,
            tab.lengths.change,  # a one-line text box of Gradio 6.31 sends no `input`
            tab.new_tokens.input,
            tab.runs.input,
            tab.warmup.input,
            tab.mode.input,
        ]
        gr.on(changes, self.check, tab.settings, tab.status, trigger_mode="always_last", **QUIET)
        started = [tab.status, tab.job, tab.result]
        gr.on([tab.start.click, tab.lengths.submit], self.start, tab.settings, started, **QUIET)
        tab.job.cancel(self.cancel_benchmark, None, tab.job, **QUIET)
        tab.result.save(self.save, None, self.file, **QUIET)

    # What the components show

    def result(self, request: gr.Request) -> Json:
        """The table; this visitor's session notes the version."""
        job = self.job
        # The version first: a result that changes meanwhile is sent again.
        self.sessions[request.session_hash].benchmark_seen = job.version
        return benchmark_value(job.result, job.charts, job.state, owner=is_owner(request))

    def lanes(self, model: str, names: list[str], request: gr.Request) -> list[tuple[str, str]]:
        """The lanes to choose from: those of the Compare tab, and those chosen here."""
        chosen = lane_choices(map(parse, names))
        return list(dict.fromkeys([*self.choices.lanes(model, request), *chosen]))

    # What the events do

    def arrive(self, request: gr.Request) -> Updates:
        """A new page: the model and the lanes of the Compare tab, and the latest result."""
        return {
            **self.choose_same(request),
            self.tab.job: self.job.view(is_owner(request)),
            self.tab.result: self.result(request),
        }

    def tick(self, request: gr.Request) -> Updates:
        """Once a second: the progress, and the table if this visitor has not seen it yet."""
        seen = self.sessions[request.session_hash].benchmark_seen
        updates: Updates = {self.tab.job: self.job.view(is_owner(request))}
        if seen != self.job.version:
            updates[self.tab.result] = self.result(request)
        return updates

    def follow(self, names: list[str], model: str, request: gr.Request) -> Updates:
        """The tab was opened: choose the lanes and model of Compare, unless others were chosen."""
        given = self.sessions[request.session_hash].benchmark_choice
        return self.choose_same(request) if given in (None, (names, model)) else gr.skip()

    def choose_same(self, request: gr.Request) -> Updates:
        """Choose the lanes and the model of the Compare tab."""
        model, names = self.choices.model, [lane.name for lane in self.choices.chosen]
        self.sessions[request.session_hash].benchmark_choice = names, model
        return {
            self.tab.names: gr.update(choices=self.lanes(model, names, request), value=names),
            self.tab.model: gr.update(
                choices=self.choices.models(request),
                value=model,
                allow_custom_value=is_owner(request),
            ),
        }

    @notes_errors
    def choose_model(self, model: str, names: list[str], request: gr.Request) -> Updates:
        """A model was chosen or typed: show its canonical name and its lanes."""
        require_owner(request)
        model = models.check(model)
        return {
            self.tab.names: gr.update(choices=self.lanes(model, names, request)),
            self.tab.model: gr.update(choices=self.choices.models(request, model), value=model),
            self.tab.status: note(HINT),
        }

    @notes_errors
    def check(self, values: Inputs, request: gr.Request) -> Updates:
        """The number of runs that these settings make, or what is wrong with them."""
        require_owner(request)
        return {self.tab.status: note(run_count(self.plan(values)))}

    @notes_errors
    def start(self, values: Inputs, request: gr.Request) -> Updates:
        """Start a benchmark with these settings."""
        require_owner(request)
        plan = self.plan(values)
        self.job.start(plan)
        return {
            self.tab.status: note(run_count(plan)),
            self.tab.job: self.job.view(is_owner(request)),
            self.tab.result: self.result(request),
        }

    def cancel_benchmark(self, request: gr.Request) -> Json:
        """Cancel the benchmark in progress."""
        if is_owner(request):
            self.job.cancel()
        return self.job.view(is_owner(request))

    def save(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Hand a file of the result to the browser.

        The event's data: `{"kind": "json" | "csv" | "png", "name": of the chart}`.
        """
        data = event_data(event)
        export = self.export(str(data.get("kind")), str(data.get("name")))
        return {self.file: download(*export) if export and is_owner(request) else gr.skip()}

    def export(self, kind: str, name: str) -> tuple[str, bytes] | None:
        """Its name and content; None if there is no such file."""
        result = self.job.result
        if result is None:
            return None
        if kind == "json":
            return "benchmark.json", as_text(result).encode()
        if kind == "csv":
            return "benchmark.csv", (UTF8_BOM + to_csv([Entry(result)])).encode()
        charts = {chart.name: chart.png for chart in self.job.charts}
        return (f"{name}.png", charts[name]) if kind == "png" and name in charts else None

    def plan(self, values: Inputs) -> Plan:
        """Raises BadInput for what cannot be measured."""
        tab = self.tab
        return Plan(
            lanes=tuple(parse_all(values[tab.names])) if values[tab.names] else (),
            model=models.check(values[tab.model]),
            prompt_tokens=whole_numbers(values[tab.lengths]),
            new_tokens=required("number of new tokens", values[tab.new_tokens]),
            runs=required("number of runs", values[tab.runs]),
            warmup=required("number of warm-up runs", values[tab.warmup]),
            mode=values[tab.mode],
        )


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "32, 256 512" → 32, 256, 512. Raises BadInput."""
    parts = re.split(r"[\s,;]+", text.strip(" ,;\n\t"))
    if not all(re.fullmatch(r"-?[0-9]{1,9}", part) for part in parts if part):
        raise BadInput(
            f"“{text}” is not a list of prompt lengths.",
            "Write whole numbers, such as 32, 256, 512.",
        )
    return tuple(int(part) for part in parts if part)


def required(name: str, value: int | None) -> int:
    """The value of a number field. Raises BadInput for an empty one."""
    if value is None:
        raise BadInput(f"The {name} is missing.", "Give a whole number.")
    return value
