"""The Machine tab's components."""

from __future__ import annotations

import gradio as gr

from playground.page.components import html
from playground.page.notes import NO_NOTE

REPORT_HINT = "Report: it contains nothing personal, so attach it to a bug report"


class MachineTab:
    """The components: memory and actions, the report, devices and lanes."""

    def __init__(self) -> None:
        with gr.Tab("Machine", elem_id="machine-tab", render_children=True) as self.container:
            self.memory = gr.Markdown(elem_id="memory")
            with gr.Row(elem_id="actions", elem_classes="owner-only"):
                self.unload = gr.Button("Unload idle workers", size="sm", scale=0)
                self.set_up = gr.Button(
                    "Set up the Intel NPU Library", size="sm", scale=0, visible=False
                )
                self.make_report = gr.Button("Create a report", size="sm", scale=0)
            self.status = html("note", NO_NOTE, elem_id="machine-note")
            self.job = html("job", elem_id="setting-up")
            with gr.Column(visible=False, elem_id="report") as self.report_column:
                self.report = gr.Textbox(
                    label=REPORT_HINT, lines=20, max_lines=20, interactive=False, buttons=["copy"]
                )
                self.save_report = gr.Button("Download", size="sm", scale=0)
            self.board = html("machine", elem_id="machine")
