"""A run in a terminal: progress on stderr, answers on stdout."""

from __future__ import annotations

from collections.abc import Iterator

from rich.columns import Columns
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from playground.arena import STATES_HZ, Run
from playground.cli.output import STYLES
from playground.cli.progress import StageLines, stage_text
from playground.formatting import number
from playground.runs.lane_run import LaneRun
from playground.runs.record import RunResult


def wait_for(run: Run) -> RunResult:
    """The final result; prints how the lanes are prepared meanwhile. Raises what ended the run."""
    lines = StageLines()
    for _ in ticks(run):
        for lane_run in run.lanes.values():
            lines.show(lane_run.lane, lane_run.host.stage)
    if run.error:
        raise run.error
    return run.result()


def stream(run: Run) -> RunResult:
    """Show the answers while they grow if stdout is a terminal, otherwise when all are complete."""
    console = Console()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=STATES_HZ, transient=True) as live:
            for _ in ticks(run):
                panels = [panel(lane_run) for lane_run in run.lanes.values()]
                live.update(Columns(panels, equal=True, expand=True))
    result = wait_for(run)
    for lane_run in run.lanes.values():
        print_answer(console, lane_run)
    return result


def ticks(run: Run) -> Iterator[None]:
    """Yields STATES_HZ times a second until the run is done; stops the run on Ctrl-C."""
    try:
        while not run.done.is_set():
            yield
            run.done.wait(1 / STATES_HZ)
    except KeyboardInterrupt:
        run.stop()
        run.done.wait(3)
        raise


def panel(run: LaneRun) -> Panel:
    """The last lines of a lane's answer, above its figures."""
    text = run.view().text or stage_text(run.host.stage)
    return Panel(
        Text("\n".join(text.splitlines()[-12:])),
        title=run.lane.name,
        subtitle=figures_text(run),
        height=16,
    )


def print_answer(console: Console, run: LaneRun) -> None:
    """Print one lane's figures and its answer or error."""
    view = run.view()
    console.print(Text(f"── {run.lane.name} ", style="bold"), end="")
    console.print(Text(figures_text(run), style=STYLES.get(run.status, "")))
    if proof := view.device_proof:
        console.print(Text(proof, style="dim"))
    if view.text:
        console.print(Text(view.text), soft_wrap=True)  # no line breaks the model never wrote
    if run.error:
        console.print(Text(str(run.error), style="red"), soft_wrap=True)
    console.print()


def figures_text(run: LaneRun) -> str:
    """For example "ok (stop) · 8 tokens · 41.2 tok/s · TTFT 35 ms"."""
    view = run.view()
    reason = f" ({run.finish_reason})" if run.finish_reason else ""
    return (
        f"{run.status}{reason} · {view.new_tokens} tokens · "
        f"{number(view.tps, '.1f')} tok/s · TTFT {number(view.ttft_ms, '.0f')} ms"
    )
