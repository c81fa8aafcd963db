"""Work that goes on whoever watches: models being prepared, a library being set up."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from playground import devices, models
from playground.errors import BadInput, PlaygroundError
from playground.lanes.lane import Lane
from playground.models import Stage
from playground.page.compare import view
from playground.paths import home
from playground.workers.liveness import kill_tree
from playground.workers.process import ROOT

IDLE, WORKING, DONE, FAILED, CANCELLED = "idle", "working", "done", "failed", "cancelled"
UNEXPECTED = "It failed: {!r}. Details are in the log."
ENDS = {
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
        self.ends = 0  # how often one has ended: what is there may have changed
        self.cancelled = threading.Event()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def beginning(self, title: str) -> Iterator[None]:
        """Inside, say what is to be done; then it starts. Raises BadInput while it is under way."""
        with self._guard:
            if self.state == WORKING:
                raise BadInput(f"{self.title} is under way.", "Wait for it, or cancel it.")
            yield
            self.title, self.detail = title, ""
            self.cancelled.clear()
            self.state = WORKING
        threading.Thread(target=self._run, name=title, daemon=True).start()

    def cancel(self) -> None:
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
        """Do it; DONE, FAILED or CANCELLED."""
        raise NotImplementedError

    def view(self, owner: bool) -> dict[str, Any]:
        """What the page shows of it, as text and numbers; owner: whoever may cancel it, and read
        what names folders of this machine."""
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
    """What one or several lanes read of a model."""

    format: str
    precision: str
    lanes: str
    state: str = "waiting"
    note: str = ""


class PreparationJob(Job):
    """A model being made for some lanes, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.model = ""
        self._steps: list[JobStep] = []
        self._stage: Stage | None = None

    def start(self, model: str, chosen: Sequence[Lane]) -> None:
        """Raises BadInput while another is under way."""
        steps, title = plan(chosen), models.title(model)
        with self.beginning(f"Preparing {title}"):
            self.model, self._steps, self._stage = model, steps, None

    def work(self) -> str:
        for step in self._steps:
            self._stage = None
            step.state = WORKING
            step.state, step.note = self._make(step)
        self._stage = None
        states = {step.state for step in self._steps}
        state = next((each for each in (CANCELLED, FAILED) if each in states), DONE)
        self.detail = ENDS[state]
        return state

    def _make(self, step: JobStep) -> tuple[str, str]:
        what = (self.model, step.format, step.precision)
        try:
            models.prepare(*what, self._report, self.cancelled)
            return DONE, ""
        except models.Cancelled:
            return CANCELLED, ""
        except PlaygroundError as error:
            return FAILED, str(error)

    def _report(self, stage: Stage) -> None:
        self._stage = stage

    def view(self, owner: bool) -> dict[str, Any]:
        stage = self._stage
        shown = super().view(owner)
        if stage:
            shown["label"] = shown["label"] or view.STATES[stage.name]
            shown["detail"] = f"for {stage.detail}" if stage.name == "wait" else stage.detail
            shown["fraction"] = stage.fraction
        shown["items"] = [
            {"text": step.lanes, "state": step.state, "note": step.note if owner else ""}
            for step in self._steps
        ]
        return shown


def plan(chosen: Sequence[Lane]) -> list[JobStep]:
    """What the lanes read, each once, in their order."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for lane in chosen:
        if lane.needs_model:
            wanted.setdefault((lane.format, lane.precision), []).append(view.label(lane))
    return [JobStep(*what, " and ".join(names)) for what, names in wanted.items()]


class SetupJob(Job):
    """`python run.py setup npu` in a child; its last line is what is shown meanwhile."""

    def __init__(self, command: Sequence[str] = (str(ROOT / "run.py"), "setup", "npu")) -> None:
        super().__init__()
        self._command = [sys.executable, *command]
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Raises BadInput while it is under way."""
        with self.beginning("Setting up the Intel NPU Library"):
            self._child = None

    def cancel(self) -> None:
        super().cancel()
        if self._child is not None:
            kill_tree(self._child.pid)

    def work(self) -> str:
        path = home() / "logs" / "setup-npu.log"
        with path.open("w", encoding="utf-8") as file, self._started() as child:
            self._child = child
            if self.cancelled.is_set():  # before there was a child to end
                self.cancel()
            assert child.stdout is not None
            for line in child.stdout:
                file.write(line)
                self.detail = line.strip() or self.detail
        self._child = None
        if self.cancelled.is_set():
            self.detail = "It was cancelled."
            return CANCELLED
        if child.returncode != 0:
            self.detail = f"{self.detail} The whole output is in {path}.".strip()
            return FAILED
        devices.forget()
        with contextlib.suppress(Exception):  # the Machine tab says what is wrong with it
            devices.discover()
        return DONE

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
