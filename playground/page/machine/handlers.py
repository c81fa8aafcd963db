"""The Machine tab's handlers."""

from __future__ import annotations

import gradio as gr

from playground import doctor
from playground.arena import Arena
from playground.formatting import memory_size
from playground.page.access import is_owner, require_owner
from playground.page.choices import Choices
from playground.page.components import QUIET, Json, Updates, download
from playground.page.jobs import WORKING, SetupJob
from playground.page.machine.tab import MachineTab
from playground.page.machine.view import machine_value, memory
from playground.page.notes import NO_NOTE, note, notes_errors
from playground.workers import npu_environment


class MachineHandlers:
    """The handlers of the tab; its job is the same for all visitors. file: downloads."""

    def __init__(self, arena: Arena, choices: Choices, file: gr.HTML) -> None:
        self.choices, self.file = choices, file
        self.hosts, self.sampler = arena.hosts, arena.sampler
        self.job = SetupJob()
        self.tab = MachineTab()
        self._connect()

    def _connect(self) -> None:
        tab = self.tab
        tab.container.select(self.board, None, tab.board, **QUIET)
        tab.unload.click(self.unload_if_idle, None, tab.status, **QUIET)
        tab.set_up.click(self.start_setup, None, [tab.status, tab.job], **QUIET)
        tab.job.cancel(self.cancel_setup, None, tab.job, **QUIET)
        tab.make_report.click(self.report, None, [tab.report, tab.report_column], **QUIET)
        tab.save_report.click(self.save_report, tab.report, self.file, **QUIET)

    # What the components show

    def board(self, request: gr.Request) -> Json:
        """The machine, its devices, gauges and lanes."""
        owner = is_owner(request)
        return machine_value(self.choices.model, self.sampler.latest, owner=owner)

    def memory(self) -> str:
        """Free memory and loaded workers, as a sentence."""
        latest, loaded = self.sampler.latest, len(self.hosts.pids())
        return memory(latest.memory_used_mb, latest.memory_total_mb, loaded)

    def set_up_button(self) -> dict[str, object]:
        """Shown while there is something to set up."""
        return gr.update(visible=not npu_environment.ready() and self.job.state != WORKING)

    # What the events do

    def arrive(self, request: gr.Request) -> Updates:
        """A new page."""
        return {self.tab.set_up: self.set_up_button(), self.tab.board: self.board(request)}

    def tick(self, request: gr.Request) -> Updates:
        """Once a second: what changes by itself."""
        return {
            self.tab.memory: self.memory(),
            self.tab.set_up: self.set_up_button(),
            self.tab.job: self.job.view(is_owner(request)),
        }

    @notes_errors
    def unload_if_idle(self, request: gr.Request) -> Updates:
        """End the workers that no run uses; the next run loads them again."""
        require_owner(request)
        freed_mb = self.hosts.unload_idle()
        freed = f"{memory_size(freed_mb)} freed; the next run loads the models again."
        return {self.tab.status: note(freed if freed_mb else "No worker was idle.")}

    @notes_errors
    def start_setup(self, request: gr.Request) -> Updates:
        """Set up the Intel NPU Library."""
        require_owner(request)
        self.job.start()
        return {self.tab.status: NO_NOTE, self.tab.job: self.job.view(is_owner(request))}

    def cancel_setup(self, request: gr.Request) -> Json:
        """Cancel the set-up in progress."""
        if is_owner(request):
            self.job.cancel()
        return self.job.view(is_owner(request))

    def report(self, request: gr.Request) -> Updates:
        """Show the doctor's report, to the owner alone: it names every package and driver."""
        if not is_owner(request):
            return {self.tab.report_column: gr.skip()}
        text = doctor.markdown(doctor.report())
        return {self.tab.report: text, self.tab.report_column: gr.update(visible=True)}

    def save_report(self, text: str, request: gr.Request) -> Updates:
        """Hand the report to the browser as a file."""
        owner = is_owner(request)
        return {self.file: download("playground-report.md", text.encode()) if owner else gr.skip()}
