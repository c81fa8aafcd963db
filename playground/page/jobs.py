"""Background work that does not depend on who watches: preparing models, setting up a library."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from playground import devices, models
from playground.errors import BadInput, PlaygroundError
from playground.lanes.lane import Lane
from playground.models import Stage
from playground.page.components import Json
from playground.page.labels import STATES, lane_label
from playground.paths import ROOT, home
from playground.workers.subprocesses import kill_tree, start

IDLE, WAITING, WORKING = "idle", "waiting", "working"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
UNEXPECTED = "Unexpected error: {!r}. Details are in the log."
ENDINGS = {
    DONE: "Choose it on the Compare tab.",
    FAILED: "",
    CANCELLED: models.Cancelled().message,
}

log = logging.getLogger(__name__)


class Job:
    """One piece of work at a time, in a thread of its own; every visitor sees the same."""

    def __init__(self) -> None:
        self.state = IDLE
        self.title = self.detail = ""
        self.ends = 0  # how many have ended: models and devices may have changed with each
        self.cancelled = threading.Event()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def beginning(self, title: str) -> Iterator[None]:
        """Set the work up inside, then it starts. Raises BadInput while another is under way."""
        with self._guard:
            if self.state == WORKING:
                raise BadInput(f"{self.title} is in progress.", "Wait for it, or cancel it.")
            yield
            self.title, self.detail = title, ""
            self.cancelled.clear()
            self.state = WORKING
        threading.Thread(target=self._run, name=title, daemon=True).start()

    def cancel(self) -> None:
        """Ask the work to end; it ends a little later."""
        self.cancelled.set()

    def _run(self) -> None:
        try:
            state = self.work()
        except Exception as error:  # no job may seem to go on for ever
            log.exception("%s failed", self.title)
            state, self.detail = FAILED, UNEXPECTED.format(error)
        self.state = state
        self.ends += 1

    def work(self) -> str:
        """Do it; returns DONE, FAILED or CANCELLED."""
        raise NotImplementedError

    def view(self, owner: bool) -> Json:
        """What job.js shows; the label takes the place of the state.

        owner: may cancel it, and see details with local paths.
        """
        working = self.state == WORKING
        return {
            "state": self.state,
            "title": self.title,
            "label": "cancelling" if working and self.cancelled.is_set() else "",
            "detail": self.detail if owner else "",
            "fraction": None,
            "items": [],
            "cancel": owner and working and not self.cancelled.is_set(),
        }


@dataclass
class JobStep:
    """One format of a model to prepare, for one or several lanes."""

    format: str
    precision: str
    lanes: str
    state: str = WAITING
    note: str = ""


class PreparationJob(Job):
    """Prepares a model for some lanes, one format after another."""

    def __init__(self) -> None:
        super().__init__()
        self.model = ""
        self._steps: list[JobStep] = []
        self._stage: Stage | None = None

    def start(self, model: str, chosen: Sequence[Lane]) -> None:
        """Raises BadInput while another preparation is under way."""
        steps, title = plan(chosen), models.title(model)
        with self.beginning(f"Preparing {title}"):
            self.model, self._steps, self._stage = model, steps, None

    def work(self) -> str:
        """Carry on after a failed step; the job fails if one of its steps did."""
        for step in self._steps:
            self._stage = None
            step.state = WORKING
            step.state, step.note = self._prepare(step)
        self._stage = None
        states = {step.state for step in self._steps}
        outcome = next((state for state in (CANCELLED, FAILED) if state in states), DONE)
        self.detail = ENDINGS[outcome]
        return outcome

    def _prepare(self, step: JobStep) -> tuple[str, str]:
        target = (self.model, step.format, step.precision)
        try:
            models.prepare(*target, self._report, self.cancelled)
            return DONE, ""
        except models.Cancelled:
            return CANCELLED, ""
        except PlaygroundError as error:
            return FAILED, str(error)

    def _report(self, stage: Stage) -> None:
        self._stage = stage

    def view(self, owner: bool) -> Json:
        """With the current stage, and a line for each step."""
        stage, value = self._stage, super().view(owner)
        if stage:
            value["label"] = value["label"] or STATES[stage.name]
            value["detail"] = f"for {stage.detail}" if stage.name == "wait" else stage.detail
            value["fraction"] = stage.fraction
        value["items"] = [
            {
                "text": step.lanes,
                "state": step.state,
                "label": step.state,
                "note": step.note if owner else "",
            }
            for step in self._steps
        ]
        return value


def plan(chosen: Sequence[Lane]) -> list[JobStep]:
    """A step for each format that the lanes need, in their order."""
    names: dict[tuple[str, str], list[str]] = {}
    for lane in chosen:
        if lane.needs_model:
            names.setdefault((lane.format, lane.precision), []).append(lane_label(lane))
    return [JobStep(*key, " and ".join(labels)) for key, labels in names.items()]


class SetupJob(Job):
    """`python run.py setup npu` in a child process; the page shows the last line of its output."""

    def __init__(self, command: Sequence[str] = (str(ROOT / "run.py"), "setup", "npu")) -> None:
        super().__init__()
        self._command = [sys.executable, *command]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises BadInput while it is under way."""
        with self.beginning("Setting up the Intel NPU Library"):
            self._child = None

    def cancel(self) -> None:
        """End the child process and its children."""
        super().cancel()
        if self._child is not None:
            kill_tree(self._child.pid)

    def work(self) -> str:
        """Run the command, log its output, then have the devices probed again."""
        path = home() / "logs" / "setup-npu.log"
        environ = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        child = start(self._command, environ=environ, cwd=ROOT, stderr=subprocess.STDOUT)
        assert child.stdout is not None
        # As text, since a progress bar ends its lines with \r.
        output = io.TextIOWrapper(child.stdout, encoding="utf-8", errors="replace")
        with path.open("w", encoding="utf-8") as file, child, output:
            self._child = child
            if self.cancelled.is_set():  # before there was a child to end
                self.cancel()
            for line in output:
                file.write(line)
                self.detail = line.strip() or self.detail
        self._child = None
        if self.cancelled.is_set():
            self.detail = "Cancelled."
            return CANCELLED
        if child.returncode != 0:
            self.detail = f"{self.detail} The full output is in {path}.".strip()
            return FAILED
        devices.forget()
        with contextlib.suppress(Exception):  # the Machine tab reports what is wrong
            devices.discover()
        return DONE
