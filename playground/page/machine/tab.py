"""The Machine tab's components and events."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from playground.page.components import QUIET, html
from playground.page.machine.handlers import MachineHandlers
from playground.page.notes import NO_NOTE

REPORT_HINT = "Report: it contains nothing personal, so attach it to a bug report"


@dataclass(frozen=True)
class MachineTab:
    """The components of the tab."""

    memory: gr.Markdown
    unload: gr.Button
    set_up: gr.Button
    make_report: gr.Button
    status: gr.HTML
    job: gr.HTML
    report_column: gr.Column
    report: gr.Textbox
    save_report: gr.Button
    board: gr.HTML


def build() -> MachineTab:
    """Add the components: memory and actions, the report, devices and lanes."""
    memory = gr.Markdown(elem_id="memory")
    with gr.Row(elem_id="actions", elem_classes="owner-only"):
        unload = gr.Button("Unload idle workers", size="sm", scale=0)
        set_up = gr.Button("Set up the Intel NPU Library", size="sm", scale=0, visible=False)
        make_report = gr.Button("Create a report", size="sm", scale=0)
    status = html("note", NO_NOTE, elem_id="machine-note")
    job = html("job", elem_id="setting-up")
    with gr.Column(visible=False, elem_id="report") as report_column:
        report = gr.Textbox(
            label=REPORT_HINT, lines=20, max_lines=20, interactive=False, buttons=["copy"]
        )
        save_report = gr.Button("Download", size="sm", scale=0)
    board = html("machine", elem_id="machine")
    return MachineTab(
        memory,
        unload,
        set_up,
        make_report,
        status,
        job,
        report_column,
        report,
        save_report,
        board,
    )


def connect(tab: MachineTab, handlers: MachineHandlers, container: gr.Tab) -> None:
    """Connect the components' events with their handlers."""
    container.select(handlers.board, None, tab.board, **QUIET)
    tab.unload.click(handlers.unload_if_idle, None, tab.status, **QUIET)
    tab.set_up.click(handlers.start_setup, None, [tab.status, tab.job], **QUIET)
    tab.job.cancel(handlers.cancel_setup, None, tab.job, **QUIET)
    tab.make_report.click(handlers.report, None, [tab.report, tab.report_column], **QUIET)
    tab.save_report.click(handlers.save_report, tab.report, handlers.file, **QUIET)
