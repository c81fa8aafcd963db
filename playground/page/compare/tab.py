"""The Compare tab's layout and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.page.compare import view
from playground.page.compare.handlers import HINT, IN_TURN, MAX_COLUMNS, TOGETHER, CompareHandlers
from playground.page.components import html

# One queue for the page and the API: the devices are shared.
DEVICES: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "devices"}
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class CompareTab:
    """The components that events of the whole page fill. asked: prompt, system prompt, mode,
    max new tokens, temperature."""

    names: gr.Dropdown
    model: gr.Dropdown
    columns: list[gr.Column]
    cards: list[gr.HTML]
    answers: list[gr.Markdown]
    status: gr.HTML
    asked: list[gr.Component]

    @property
    def everything(self) -> list[Any]:
        """What choosing other lanes or another model fills."""
        return [self.names, self.model, *self.columns, *self.cards, *self.answers, self.status]


def build(compare: CompareHandlers) -> CompareTab:
    """Inside a tab: what is asked, then the columns; with its events."""
    prompt, system, mode, run, stop = ask()
    names, model, max_new_tokens, temperature = settings()
    begun = bool(compare.choices.chosen)
    status = html("note", view.note(HINT if begun else LOOKING), elem_id="status")
    columns, cards, answers = answer_columns(len(compare.choices.chosen))
    asked: list[gr.Component] = [prompt, system, mode, max_new_tokens, temperature]
    tab = CompareTab(names, model, columns, cards, answers, status, asked)

    for chosen in (names, model):
        chosen.input(compare.choose, [names, model], tab.everything, **QUIET)
    gr.on([run.click, prompt.submit], compare.queue, None, status, **QUIET).success(
        compare.run,
        [prompt, system, names, model, mode, max_new_tokens, temperature],
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
    return tab


LOOKING = "Looking for this machine's devices …"


def ask() -> tuple[gr.Textbox, gr.Textbox, gr.Radio, gr.Button, gr.Button]:
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
    return prompt, system, mode, run, stop


def settings() -> tuple[gr.Dropdown, gr.Dropdown, gr.Number, gr.Number]:
    """Filled when a page arrives: what there is to choose may not be known before."""
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
    return names, model, max_new_tokens, temperature


def answer_columns(used: int) -> tuple[list[gr.Column], list[gr.HTML], list[gr.Markdown]]:
    columns, cards, answers = [], [], []
    with gr.Row(elem_id="columns", equal_height=True):
        for position in range(MAX_COLUMNS):
            classes = ["lane", f"lane-{position}"]
            with gr.Column(visible=position < used, min_width=260, elem_classes=classes) as column:
                columns.append(column)
                cards.append(html("card", None))
                answers.append(
                    gr.Markdown("", elem_classes="answer", sanitize_html=True, line_breaks=True)
                )
    return columns, cards, answers
