"""The Compare tab's components."""

from __future__ import annotations

import gradio as gr
from gradio.blocks import Block

from playground.page.components import html, lane_dropdown, model_dropdown
from playground.page.notes import note
from playground.runs.record import IN_TURN, TOGETHER

MAX_COLUMNS = 6
HINT = "Press Run, or Ctrl+Enter in the prompt."
LOOKING = "Looking for this machine's devices …"


class CompareTab:
    """The components: what is asked, how, and a column for each lane."""

    def __init__(self, used: int) -> None:
        """used: the number of columns at first; 0 if the lanes are not known."""
        with gr.Tab("Compare", id="compare", elem_id="compare-tab", render_children=True):
            self._add_prompt_row()
            self._add_settings_row()
            self.status = html("note", note(HINT if used else LOOKING), elem_id="status")
            self._add_columns(used)

    def _add_prompt_row(self) -> None:
        with gr.Row(elem_id="ask", equal_height=True):
            self.prompt = gr.Textbox(
                label="Prompt",
                placeholder="Ask all engines the same …",
                lines=2,
                max_lines=8,
                scale=6,
                min_width=260,
                elem_id="prompt",
            )
            self.system = gr.Textbox(
                label="System prompt",
                placeholder="the model's default",
                lines=2,
                max_lines=8,
                scale=3,
                min_width=200,
                elem_id="system",
            )
            self.mode = gr.Radio(
                [("Together, a race", TOGETHER), ("In turn, each alone", IN_TURN)],
                value=TOGETHER,
                label="Mode",
                scale=2,
                min_width=210,
                elem_id="mode",
            )
            with gr.Column(scale=1, min_width=130, elem_id="buttons"):
                self.run = gr.Button("Run", variant="primary", elem_id="run")
                self.stop = gr.Button("Stop", elem_id="stop")

    def _add_settings_row(self) -> None:
        with gr.Row(elem_id="settings"):
            self.model = model_dropdown("model")
            self.names = lane_dropdown("lanes", max_choices=MAX_COLUMNS)
            self.max_new_tokens = gr.Number(
                256, label="Max new tokens", precision=0, min_width=150, elem_id="max-new-tokens"
            )
            self.temperature = gr.Number(
                0, label="Temperature", step=0.1, min_width=110, elem_id="temperature"
            )

    def _add_columns(self, used: int) -> None:
        self.columns: list[gr.Column] = []
        self.cards: list[gr.HTML] = []
        self.answers: list[gr.Markdown] = []
        with gr.Row(elem_id="columns", equal_height=True):
            for position in range(MAX_COLUMNS):
                classes = ["lane", f"lane-{position}"]
                visible = position < used
                with gr.Column(visible=visible, min_width=260, elem_classes=classes) as column:
                    self.columns.append(column)
                    self.cards.append(html("card"))
                    self.answers.append(
                        gr.Markdown(elem_classes="answer", sanitize_html=True, line_breaks=True)
                    )

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
