"""The progress of a command on stderr: a live line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from playground.lanes.lane import Lane
from playground.models import Stage


class StageLines:
    """Prints a stage when it changes: every new name or detail, and every 10 % of progress."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int | str]] = {}

    def show(self, lane: Lane, stage: Stage) -> None:
        step = stage.detail if stage.fraction is None else int(stage.fraction * 10)
        if stage.name in ("idle", "ready", "failed"):
            return
        if self._last.get(lane.name) != (stage.name, step):
            self._last[lane.name] = stage.name, step
            print(f"{lane.name}: {stage_text(stage)}", file=sys.stderr, flush=True)


def stage_text(stage: Stage) -> str:
    """For example "fetch 40 % · SmolLM2, 37 of 93 MB"."""
    percent = "" if stage.fraction is None else f" {stage.fraction:.0%}".replace("%", " %")
    action = "wait for" if stage.name == "wait" else f"{stage.name}{percent} ·"
    return f"{action} {stage.detail}" if stage.detail else f"{stage.name}{percent}"


class PreparationProgress:
    """Shows the stage of a preparation; `say` prints a line that stays."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._lines = StageLines()
        self._live = rich.progress.Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task: tuple[str, str, TaskID] | None = None  # lane, stage, and its line in `_live`

    def __enter__(self) -> PreparationProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        self._clear()
        self._console.print(Text(text), soft_wrap=True)

    def show(self, lane: Lane, stage: Stage) -> None:
        if not self._console.is_terminal:
            self._lines.show(lane, stage)
            return
        if self._task is None or self._task[:2] != (lane.name, stage.name):
            self._clear()
            self._task = lane.name, stage.name, self._live.add_task("", total=None)
        self._live.update(
            self._task[2],
            description=f"{lane.name}: {stage_text(stage)}",
            total=None if stage.fraction is None else 1.0,
            completed=stage.fraction or 0.0,
        )

    def _clear(self) -> None:
        if self._task:
            self._live.remove_task(self._task[2])
            self._live.refresh()
            self._task = None
