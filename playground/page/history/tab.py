"""The History tab's components."""

from __future__ import annotations

import gradio as gr
from gradio.blocks import Block

from playground.page.components import html
from playground.page.notes import NO_NOTE

SEARCH = "Search prompts, models and lanes"


class HistoryTab:
    """The components: the list, or what was opened from it."""

    def __init__(self) -> None:
        with gr.Tab("History", elem_id="history-tab", render_children=True) as self.container:
            with gr.Row(elem_classes="owner-only browsing"):
                self.find = gr.Textbox(
                    label=SEARCH,
                    placeholder=SEARCH,
                    lines=1,
                    max_lines=1,
                    container=False,
                    elem_id="find",
                )
            self.status = html("note", NO_NOTE, elem_id="history-note")
            self.listing = html("history", elem_id="history")
            self.opened = html("entry", elem_id="opened")
            self.compared = html("comparison", elem_id="pair")

    @property
    def views(self) -> list[Block]:
        """What opening an entry updates."""
        return [self.listing, self.opened, self.compared, self.status]
