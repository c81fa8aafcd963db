"""The Machine tab: what this machine has, which lanes it can run or why not, and its repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground import doctor
from playground.arena import Arena
from playground.errors import PlaygroundError
from playground.formatting import memory_size
from playground.page.access import is_owner, only_owner
from playground.page.choices import Choices
from playground.page.compare import view
from playground.page.compare.tab import QUIET
from playground.page.components import html
from playground.page.jobs import WORKING, SetupJob
from playground.page.machine import view as machine_view
from playground.workers import npu_environment


class MachineHandlers:
    """The tab's handlers; `setting_up` goes on whoever watches."""

    def __init__(self, arena: Arena, choices: Choices) -> None:
        self.hosts, self.sampler, self.choices = arena.hosts, arena.sampler, choices
        self.setting_up = SetupJob()

    def board(self, request: gr.Request) -> dict[str, Any]:
        latest = [self.sampler.latest]
        return machine_view.board(self.choices.model, latest, owner=is_owner(request))

    def job(self, request: gr.Request) -> dict[str, Any]:
        return self.setting_up.view(is_owner(request))

    def actions(self, request: gr.Request) -> dict[str, Any]:
        """Which buttons there are."""
        lacking = not npu_environment.ready() and self.setting_up.state != WORKING
        return {"owner": is_owner(request), "set_up": lacking}

    def memory(self) -> dict[str, Any]:
        latest, loaded = self.sampler.latest, len(self.hosts.pids())
        used, total = latest.memory_used_mb, latest.memory_total_mb
        return view.note(machine_view.memory(used, total, loaded), spoken=False)

    # What the events do

    def unload_if_idle(self, request: gr.Request) -> dict[str, Any]:
        """End the workers that no run needs; the next run loads them again."""
        try:
            only_owner(request)
        except PlaygroundError as error:
            return view.note(error)
        freed_mb = self.hosts.unload_idle()
        back = f"{memory_size(freed_mb)} came back; the next run loads again."
        return view.note(back if freed_mb else "No worker was idle.")

    def set_up(self, request: gr.Request) -> list[Any]:
        try:
            only_owner(request)
            self.setting_up.start()
        except PlaygroundError as error:
            return [view.note(error), gr.skip()]
        return [view.note(""), self.job(request)]

    def cancel(self, request: gr.Request) -> dict[str, Any]:
        if is_owner(request):
            self.setting_up.cancel()
        return self.job(request)

    def report(self, request: gr.Request) -> Any:
        """The doctor's, for the person at this machine: it names every package and driver."""
        return doctor.markdown(doctor.report()) if is_owner(request) else gr.skip()


@dataclass(frozen=True)
class MachineTab:
    """The components that events of the whole page fill."""

    memory: gr.HTML
    actions: gr.HTML
    job: gr.HTML
    board: gr.HTML


def build(handlers: MachineHandlers, tab: gr.Tab) -> MachineTab:
    """Inside that tab: memory and what can be done, then devices and lanes; with its events."""
    memory = html("note", view.note(""), elem_id="memory")
    actions = html("actions", None, elem_id="actions")
    told = html("note", view.note(""), elem_id="told")
    job = html("job", None, elem_id="setting-up")
    report = html("report", "", elem_id="report")
    board = html("machine", None, elem_id="machine")

    actions.free(handlers.unload_if_idle, None, told, **QUIET)
    actions.setup(handlers.set_up, None, [told, job], **QUIET)
    actions.report(handlers.report, None, report, **QUIET)
    job.cancel(handlers.cancel, None, job, **QUIET)
    tab.select(handlers.board, None, board, **QUIET)
    return MachineTab(memory, actions, job, board)
