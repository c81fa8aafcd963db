"""What a run looks like in a terminal: stages on stderr, answers on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from playground.arena import STATES_HZ, Run
from playground.formatting import number
from playground.lanes.lane import Lane
from playground.models import Stage
from playground.runs.lane_run import LaneRun
from playground.runs.record import RunResult

STYLES = {"ok": "green", "error": "red", "unavailable": "yellow", "stopped": "yellow"}


def use_utf8() -> None:
    """A Windows pipe speaks cp1252 unless told, and the first 你好 would end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


class StageLines:
    """Prints a stage to stderr when it changes: each new thing, and each 10 % of it."""

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
    """ "fetch 40 % · SmolLM2, 37 of 93 MB"."""
    percent = "" if stage.fraction is None else f" {stage.fraction:.0%}".replace("%", " %")
    what = "wait for" if stage.name == "wait" else f"{stage.name}{percent} ·"
    return f"{what} {stage.detail}" if stage.detail else f"{stage.name}{percent}"


def wait_for(run: Run) -> RunResult:
    """The final result; what is being prepared meanwhile goes to stderr."""
    lines = StageLines()
    for _ in ticks(run):
        for lane_run in run.lanes.values():
            lines.show(lane_run.lane, lane_run.host.stage)
    if run.error:
        raise run.error
    return run.result()


def stream(run: Run) -> RunResult:
    """Show the answers as they grow where stdout is a terminal, else when all have ended."""
    console = Console()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=STATES_HZ, transient=True) as live:
            for _ in ticks(run):
                live.update(panels(run))
    result = wait_for(run)
    for lane_run in run.lanes.values():
        print_answer(console, lane_run)
    return result


def ticks(run: Run) -> Iterator[None]:
    """Until the run is done, 8 times a second; Ctrl-C stops the run first."""
    try:
        while not run.done.is_set():
            yield
            run.done.wait(1 / STATES_HZ)
    except KeyboardInterrupt:
        run.stop()
        run.done.wait(3)
        raise


def panels(run: Run) -> Columns:
    """The lanes side by side, each with the end of its answer."""
    return Columns([panel(lane_run) for lane_run in run.lanes.values()], equal=True, expand=True)


def panel(run: LaneRun) -> Panel:
    text = run.view().text or stage_text(run.host.stage)
    return Panel(
        Text("\n".join(text.splitlines()[-12:])),
        title=run.lane.name,
        subtitle=figures_text(run),
        height=16,
    )


def print_answer(console: Console, run: LaneRun) -> None:
    """One lane's answer, or what was wrong and what to do."""
    view = run.view()
    console.print(Text(f"── {run.lane.name} ", style="bold"), end="")
    console.print(Text(figures_text(run), style=STYLES.get(view.status, "")))
    if told := view.device_proof:
        console.print(Text(told, style="dim"))
    if view.text:
        console.print(Text(view.text), soft_wrap=True)  # no line breaks the model never wrote
    if view.error:
        console.print(Text(str(view.error), style="red"), soft_wrap=True)
    console.print()


def figures_text(run: LaneRun) -> str:
    """ "ok (stop) · 8 tokens · 41.2 tok/s · TTFT 35 ms"."""
    view = run.view()
    reason = f" ({view.finish_reason})" if view.finish_reason else ""
    return (
        f"{view.status}{reason} · {view.new_tokens} tokens · "
        f"{number(view.tps, '.1f')} tok/s · TTFT {number(view.ttft_ms, '.0f')} ms"
    )


def print_lanes(rows: list[dict[str, Any]]) -> None:
    """The table of `lanes`."""
    table = Table(box=None, pad_edge=False)
    for heading in ("lane", "model", "status", "why · what to do"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        why = " · ".join(filter(None, [row["reason"], row["fix"]]))
        table.add_row(Text(row["lane"]), Text(row["model"]), row["status"], Text(why))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
