"""The Models tab's components."""

from __future__ import annotations

import gradio as gr

from playground.page.components import html, lane_dropdown, model_dropdown
from playground.page.notes import NO_NOTE, note

HINT = note("Check size shows what would be downloaded and converted; it starts nothing.")
MODEL = "Model: choose one, or type an id or a path"


class ModelsTab:
    """The components: what to prepare, the progress, the stored models."""

    def __init__(self) -> None:
        with gr.Tab("Models", elem_id="models-tab", render_children=True) as self.container:
            with gr.Row(elem_id="prepare", elem_classes="owner-only"):
                self.model = model_dropdown("prepare-model", MODEL, allow_custom_value=True)
                self.names = lane_dropdown("prepare-lanes", "For these lanes")
                with gr.Column(scale=1, min_width=130, elem_classes="stacked"):
                    self.size = gr.Button("Check size", elem_id="check-size")
                    self.prepare = gr.Button("Prepare", variant="primary", elem_id="prepare-now")
            with gr.Column(elem_classes="owner-only"):
                self.status = html("note", HINT, elem_id="size")
            self.job = html("job", elem_id="preparing")
            self.removed = html("note", NO_NOTE, elem_id="removed")
            self.table = html("models", elem_id="models")
