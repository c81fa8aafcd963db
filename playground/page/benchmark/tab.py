"""The Benchmark tab's components and events."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from playground.bench import plan as defaults
from playground.page.benchmark.handlers import HINT, BenchmarkHandlers
from playground.page.benchmark.view import MODES
from playground.page.components import QUIET, html
from playground.page.notes import note
from playground.runs.record import IN_TURN


@dataclass(frozen=True)
class BenchmarkTab:
    """The components of the tab."""

    model: gr.Dropdown
    names: gr.Dropdown
    lengths: gr.Textbox
    new_tokens: gr.Number
    runs: gr.Number
    warmup: gr.Number
    mode: gr.Radio
    start: gr.Button
    status: gr.HTML
    job: gr.HTML
    result: gr.HTML

    @property
    def settings(self) -> set[Block]:
        """What a benchmark is started with."""
        numbers: set[Block] = {self.new_tokens, self.runs, self.warmup}
        return {self.names, self.model, self.lengths, self.mode, *numbers}


def build() -> BenchmarkTab:
    """Add the components: what to measure, the progress, the result."""
    with gr.Column(elem_classes="owner-only", elem_id="bench-ask"):
        model, names = lane_row()
        lengths, numbers, mode, start = settings_row()
        status = html("note", note(HINT), elem_id="bench-note")
    job = html("job", elem_id="benching")
    result = html("benchmark", elem_id="bench")
    return BenchmarkTab(model, names, lengths, *numbers, mode, start, status, job, result)


def connect(tab: BenchmarkTab, handlers: BenchmarkHandlers, container: gr.Tab) -> None:
    """Connect the components' events with their handlers."""
    choice = [tab.names, tab.model]
    container.select(handlers.follow, choice, choice, **QUIET)
    tab.model.input(handlers.choose_model, [tab.model, tab.names], [*choice, tab.status], **QUIET)
    changes = [
        tab.names.input,
        tab.lengths.change,  # a one-line text box of Gradio 6.31 sends no `input`
        tab.new_tokens.input,
        tab.runs.input,
        tab.warmup.input,
        tab.mode.input,
    ]
    gr.on(changes, handlers.check, tab.settings, tab.status, trigger_mode="always_last", **QUIET)
    started = [tab.status, tab.job, tab.result]
    gr.on([tab.start.click, tab.lengths.submit], handlers.start, tab.settings, started, **QUIET)
    tab.job.cancel(handlers.cancel_benchmark, None, tab.job, **QUIET)
    tab.result.save(handlers.save, None, handlers.file, **QUIET)


def lane_row() -> tuple[gr.Dropdown, gr.Dropdown]:
    """Model and lanes, both filled when a page arrives."""
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
    return model, names


def settings_row() -> tuple[
    gr.Textbox, tuple[gr.Number, gr.Number, gr.Number], gr.Radio, gr.Button
]:
    """Prompt lengths; new tokens, runs and warm-up; mode; Start."""
    with gr.Row(elem_id="bench-settings"):
        lengths = gr.Textbox(
            ", ".join(map(str, defaults.PROMPT_TOKENS)),
            label="Prompt lengths, in tokens",
            max_lines=1,
            scale=3,
            min_width=260,
            elem_id="bench-lengths",
        )
        numbers = (
            number("new-tokens", "New tokens", defaults.NEW_TOKENS),
            number("runs", "Runs", defaults.RUNS),
            number("warm-up", "Warm-up", defaults.WARMUP),
        )
        mode = gr.Radio(
            [(label, name) for name, label in MODES.items()],
            value=IN_TURN,
            label="Mode",
            scale=3,
            min_width=210,
            elem_id="bench-mode",
        )
        with gr.Column(scale=1, min_width=130, elem_classes="stacked"):
            start = gr.Button("Start", variant="primary", elem_id="bench-start")
    return lengths, numbers, mode, start


def number(name: str, label: str, value: int) -> gr.Number:
    """A field for a whole number."""
    return gr.Number(value, label=label, precision=0, min_width=80, elem_id=f"bench-{name}")
