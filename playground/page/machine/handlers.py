"""The Machine tab's handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from playground import doctor
from playground.arena import Arena
from playground.errors import PlaygroundError
from playground.formatting import memory_size
from playground.page.access import is_owner, require_owner
from playground.page.choices import Choices
from playground.page.components import Updates, download
from playground.page.jobs import WORKING, JobValue, SetupJob
from playground.page.machine.view import MachineValue, machine_value, memory
from playground.page.notes import NO_NOTE, NoteValue, note
from playground.workers import npu_environment

if TYPE_CHECKING:
    from playground.page.machine.tab import MachineTab


class MachineHandlers:
    """The handlers of the tab; its job is the same for all visitors. file: downloads."""

    def __init__(self, tab: MachineTab, arena: Arena, choices: Choices, file: gr.HTML) -> None:
        self.tab, self.choices, self.file = tab, choices, file
        self.hosts, self.sampler = arena.hosts, arena.sampler
        self.job = SetupJob()

    # What the components show

    def board(self, request: gr.Request) -> MachineValue:
        """The machine, its devices, gauges and lanes."""
        samples = [self.sampler.latest]
        return machine_value(self.choices.model, samples, owner=is_owner(request))

    def job_value(self, request: gr.Request) -> JobValue:
        """The progress of the set-up."""
        return self.job.view(is_owner(request))

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
            self.tab.job: self.job_value(request),
        }

    def unload_if_idle(self, request: gr.Request) -> NoteValue:
        """End the workers that no run uses; the next run loads them again."""
        try:
            require_owner(request)
        except PlaygroundError as error:
            return note(error)
        freed_mb = self.hosts.unload_idle()
        freed = f"{memory_size(freed_mb)} freed; the next run loads the models again."
        return note(freed if freed_mb else "No worker was idle.")

    def start_setup(self, request: gr.Request) -> Updates:
        """Set up the Intel NPU Library."""
        try:
            require_owner(request)
            self.job.start()
        except PlaygroundError as error:
            return {self.tab.status: note(error)}
        return {self.tab.status: NO_NOTE, self.tab.job: self.job_value(request)}

    def cancel_setup(self, request: gr.Request) -> JobValue:
        """Cancel the set-up in progress."""
        if is_owner(request):
            self.job.cancel()
        return self.job_value(request)

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
