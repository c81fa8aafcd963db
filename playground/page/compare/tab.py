"""The Compare tab's components and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.events import api

from playground.page.compare.handlers import HINT, MAX_COLUMNS, CompareHandlers
from playground.page.components import QUIET, html
from playground.page.notes import note
from playground.runs.record import IN_TURN, TOGETHER

# One queue for the page and the API: the devices are shared.
DEVICES: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "devices"}
LOOKING = "Looking for this machine's devices …"


@dataclass(frozen=True)
class CompareTab:
    """The components of the tab."""

    prompt: gr.Textbox
    system: gr.Textbox
    mode: gr.Radio
    run: gr.Button
    stop: gr.Button
    model: gr.Dropdown
    names: gr.Dropdown
    max_new_tokens: gr.Number
    temperature: gr.Number
    status: gr.HTML
    columns: list[gr.Column]
    cards: list[gr.HTML]
    answers: list[gr.Markdown]

    @property
    def request(self) -> set[Block]:
        """What a run is started with."""
        sampling: set[Block] = {self.mode, self.max_new_tokens, self.temperature}
        return {self.prompt, self.system, self.names, self.model, *sampling}

    @property
    def results(self) -> list[Block]:
        """What a run updates."""
        return [*self.cards, *self.answers, self.status]

    @property
    def choices(self) -> list[Block]:
        """What choosing other lanes or another model updates."""
        return [self.names, self.model, *self.columns, *self.results]


def build(used: int) -> CompareTab:
    """Add the components. used: the number of columns at first; 0 if the lanes are not known."""
    prompt, system, mode, run, stop = prompt_row()
    model, names, max_new_tokens, temperature = settings_row()
    status = html("note", note(HINT if used else LOOKING), elem_id="status")
    columns, cards, answers = answer_columns(used)
    return CompareTab(
        prompt,
        system,
        mode,
        run,
        stop,
        model,
        names,
        max_new_tokens,
        temperature,
        status,
        columns,
        cards,
        answers,
    )


def connect(tab: CompareTab, handlers: CompareHandlers) -> None:
    """Connect the components' events, and the API, with their handlers."""
    for chosen in (tab.names, tab.model):
        chosen.input(handlers.choose, [tab.names, tab.model], tab.choices, **QUIET)
    gr.on([tab.run.click, tab.prompt.submit], handlers.queue, None, tab.status, **QUIET).success(
        handlers.run,
        tab.request,
        tab.results,
        show_progress="minimal",
        show_progress_on=tab.status,
        api_visibility="private",
        **DEVICES,
    )
    tab.stop.click(handlers.stop, None, None, **QUIET)
    for position, card in enumerate(tab.cards):
        card.click(handlers.stop_column(position), tab.names, None, **QUIET)
    api(handlers.compare, api_name="compare", **DEVICES)


def prompt_row() -> tuple[gr.Textbox, gr.Textbox, gr.Radio, gr.Button, gr.Button]:
    """What is asked, how, and the buttons."""
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
            placeholder="the model's default",
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
    return prompt, system, mode, run, stop


def settings_row() -> tuple[gr.Dropdown, gr.Dropdown, gr.Number, gr.Number]:
    """Model and lanes, both filled when a page arrives, and the settings of a run."""
    with gr.Row(elem_id="settings"):
        model = gr.Dropdown([], value=None, label="Model", scale=3, min_width=240, elem_id="model")
        names = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            max_choices=MAX_COLUMNS,
            label="Lanes",
            scale=7,
            min_width=260,
            elem_id="lanes",
        )
        max_new_tokens = gr.Number(
            256, label="Max new tokens", precision=0, min_width=150, elem_id="max-new-tokens"
        )
        temperature = gr.Number(
            0, label="Temperature", step=0.1, min_width=110, elem_id="temperature"
        )
    return model, names, max_new_tokens, temperature


def answer_columns(used: int) -> tuple[list[gr.Column], list[gr.HTML], list[gr.Markdown]]:
    """A card and an answer for each lane."""
    columns, cards, answers = [], [], []
    with gr.Row(elem_id="columns", equal_height=True):
        for position in range(MAX_COLUMNS):
            classes = ["lane", f"lane-{position}"]
            with gr.Column(visible=position < used, min_width=260, elem_classes=classes) as column:
                columns.append(column)
                cards.append(html("card"))
                answers.append(
                    gr.Markdown("", elem_classes="answer", sanitize_html=True, line_breaks=True)
                )
    return columns, cards, answers
