"""The History tab's components and events."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from playground.page.components import QUIET, html
from playground.page.history.handlers import HistoryHandlers
from playground.page.notes import NO_NOTE

SEARCH = "Search prompts, models and lanes"


@dataclass(frozen=True)
class HistoryTab:
    """The components of the tab."""

    find: gr.Textbox
    status: gr.HTML
    listing: gr.HTML
    opened: gr.HTML
    compared: gr.HTML

    @property
    def views(self) -> list[Block]:
        """What opening an entry updates."""
        return [self.listing, self.opened, self.compared, self.status]


def build() -> HistoryTab:
    """Add the components: the list, or what was opened from it."""
    with gr.Row(elem_classes="owner-only browsing"):
        find = gr.Textbox(
            label=SEARCH, placeholder=SEARCH, lines=1, max_lines=1, container=False, elem_id="find"
        )
    return HistoryTab(
        find,
        status=html("note", NO_NOTE, elem_id="history-note"),
        listing=html("history", elem_id="history"),
        opened=html("entry", elem_id="opened"),
        compared=html("comparison", elem_id="pair"),
    )


def connect(tab: HistoryTab, handlers: HistoryHandlers, container: gr.Tab) -> None:
    """Connect the components' events with their handlers."""
    container.select(handlers.listing, None, tab.listing, **QUIET)
    # Not `input`, which is not sent for pasted text.
    tab.find.change(handlers.find, tab.find, tab.listing, trigger_mode="always_last", **QUIET)
    tab.listing.more(handlers.more, None, tab.listing, **QUIET)
    tab.listing.open(handlers.open, None, tab.views, **QUIET)
    tab.listing.erase(handlers.delete_all, None, tab.views, **QUIET)
    tab.opened.choose(handlers.choose_other, None, tab.views, **QUIET)
    tab.opened.erase(handlers.delete, None, tab.views, **QUIET)
    tab.opened.differ(handlers.differ, None, tab.views, **QUIET)
    for view in (tab.listing, tab.opened, tab.compared):
        view.back(handlers.close, None, tab.views, **QUIET)
    exported = [handlers.file, tab.status]
    for view in (tab.opened, tab.compared):
        view.export(handlers.export, None, exported, **QUIET)
    compare = handlers.compare.tab
    filled = [*compare.choices, *compare.request, handlers.tabs, tab.status]
    tab.opened.repeat(handlers.repeat, None, list(dict.fromkeys(filled)), **QUIET)
