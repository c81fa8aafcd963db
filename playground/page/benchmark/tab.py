"""The Benchmark tab's components."""

from __future__ import annotations

import gradio as gr
from gradio.blocks import Block

from playground.bench import plan as defaults
from playground.page.benchmark.view import MODES
from playground.page.components import html, lane_dropdown, model_dropdown
from playground.page.notes import note
from playground.runs.record import IN_TURN

HINT = "Every lane reads prompts of exactly these lengths and generates the same number of tokens."


class BenchmarkTab:
    """The components: what to measure, the progress, the result."""

    def __init__(self) -> None:
        with gr.Tab("Benchmark", elem_id="bench-tab", render_children=True) as self.container:
            with gr.Column(elem_classes="owner-only", elem_id="bench-ask"):
                with gr.Row():
                    self.model = model_dropdown("bench-model")
                    self.names = lane_dropdown("bench-lanes")
                self._add_settings_row()
                self.status = html("note", note(HINT), elem_id="bench-note")
            self.job = html("job", elem_id="benching")
            self.result = html("benchmark", elem_id="bench")

    def _add_settings_row(self) -> None:
        with gr.Row(elem_id="bench-settings"):
            self.lengths = gr.Textbox(
                ", ".join(map(str, defaults.PROMPT_TOKENS)),
                label="Prompt lengths, in tokens",
                max_lines=1,
                scale=3,
                min_width=260,
                elem_id="bench-lengths",
            )
            self.new_tokens = whole_number("new-tokens", "New tokens", defaults.NEW_TOKENS)
            self.runs = whole_number("runs", "Runs", defaults.RUNS)
            self.warmup = whole_number("warm-up", "Warm-up", defaults.WARMUP)
            self.mode = gr.Radio(
                [(label, name) for name, label in MODES.items()],
                value=IN_TURN,
                label="Mode",
                scale=3,
                min_width=210,
                elem_id="bench-mode",
            )
            with gr.Column(scale=1, min_width=130, elem_classes="stacked"):
                self.start = gr.Button("Start", variant="primary", elem_id="bench-start")

    @property
    def settings(self) -> set[Block]:
        """What a benchmark is started with."""
        numbers: set[Block] = {self.new_tokens, self.runs, self.warmup}
        return {self.names, self.model, self.lengths, self.mode, *numbers}


def whole_number(name: str, label: str, value: int) -> gr.Number:
    """A field for a whole number."""
    return gr.Number(value, label=label, precision=0, min_width=80, elem_id=f"bench-{name}")
