"""The Models tab's components and events."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from playground.page.components import QUIET, html
from playground.page.models.handlers import CHECKING, HINT, ModelsHandlers
from playground.page.notes import NO_NOTE


@dataclass(frozen=True)
class ModelsTab:
    """The components of the tab."""

    model: gr.Dropdown
    names: gr.Dropdown
    size: gr.Button
    prepare: gr.Button
    status: gr.HTML
    job: gr.HTML
    removed: gr.HTML
    table: gr.HTML


def build() -> ModelsTab:
    """Add the components: what to prepare, the progress, the stored models."""
    with gr.Row(elem_id="prepare", elem_classes="owner-only"):
        model = gr.Dropdown(
            [],
            value=None,
            allow_custom_value=True,
            label="Model: choose one, or type an id or a path",
            scale=3,
            min_width=260,
            elem_id="prepare-model",
        )
        names = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label="For these lanes",
            scale=6,
            min_width=260,
            elem_id="prepare-lanes",
        )
        with gr.Column(scale=1, min_width=130, elem_classes="stacked"):
            size = gr.Button("Check size", elem_id="check-size")
            prepare = gr.Button("Prepare", variant="primary", elem_id="prepare-now")
    with gr.Column(elem_classes="owner-only"):
        status = html("note", HINT, elem_id="size")
    return ModelsTab(
        model,
        names,
        size,
        prepare,
        status,
        job=html("job", elem_id="preparing"),
        removed=html("note", NO_NOTE, elem_id="removed"),
        table=html("models", elem_id="models"),
    )


def connect(tab: ModelsTab, handlers: ModelsHandlers, container: gr.Tab) -> None:
    """Connect the components' events with their handlers."""
    choice = [tab.model, tab.names]
    container.select(handlers.table, None, tab.table, **QUIET)
    tab.model.input(handlers.choose_model, choice, [*choice, tab.status], **QUIET)
    tab.size.click(lambda: CHECKING, None, tab.status, **QUIET).then(
        handlers.size, choice, tab.status, **QUIET
    )
    tab.prepare.click(handlers.prepare, choice, [tab.status, tab.job], **QUIET)
    tab.job.cancel(handlers.cancel_preparation, None, tab.job, **QUIET)
    tab.table.remove(handlers.remove, None, [tab.removed, tab.table], **QUIET)
