"""`python -m playground bench`: a benchmark as a table, as JSON and as a chart."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from playground import charts, models
from playground.arena import Arena
from playground.bench import plan as defaults
from playground.bench.plan import Plan
from playground.bench.results import as_text
from playground.bench.running import Step, run
from playground.bench.table import cells
from playground.cli.command import FAILED, INTERRUPTED, OK, ctrl_c, print_notice
from playground.cli.files import writable, write
from playground.cli.lanes import chosen_lanes
from playground.cli.options import Force, Lanes, Mode, Model, NoHistory
from playground.cli.output import STYLES, joined, table
from playground.cli.progress import StageLines
from playground.errors import BadInput
from playground.formatting import number, time_left
from playground.gauges.power_source import PowerSource
from playground.history import History
from playground.runs.benchmark_record import BenchmarkRecord, BenchmarkResult
from playground.runs.record import IN_TURN, TOGETHER

STDOUT = "-"
PROMPT_LENGTHS = ",".join(map(str, defaults.PROMPT_TOKENS))
FIGURES = ("prompt", "TTFT ms", "tok/s", "p5–p95", "TPOT ms", "J/token", "MBU", "load s")

PromptTokens = Annotated[
    str, typer.Option("--prompt-tokens", metavar="N,N", help="Exact prompt lengths.")
]
NewTokens = Annotated[
    int, typer.Option("--new-tokens", metavar="N", help="Exact length of each answer.")
]
Runs = Annotated[
    int, typer.Option("--runs", metavar="N", help="Measured runs of each lane and length.")
]
Warmup = Annotated[
    int, typer.Option("--warmup", metavar="N", help="Runs before them that do not count.")
]
JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE", help="Write the result with all raw times; - prints it."
    ),
]
ChartFile = Annotated[
    str | None,
    typer.Option("--chart", metavar="FILE", help="Draw time per token to a .png or .svg file."),
]


def bench(
    model: Model = models.DEFAULT_MODEL,
    lanes: Lanes = "",
    prompt_tokens: PromptTokens = PROMPT_LENGTHS,
    new_tokens: NewTokens = defaults.NEW_TOKENS,
    runs: Runs = defaults.RUNS,
    warmup: Warmup = defaults.WARMUP,
    mode: Mode = IN_TURN,
    force: Force = False,
    json: JsonFile = None,
    chart: ChartFile = None,
    no_history: NoHistory = False,
) -> int:
    lengths = prompt_lengths(prompt_tokens)
    json_file = None if json in (None, STDOUT) else writable(Path(json))
    chart_file = None if chart is None else writable(drawable(Path(chart)))
    plan = Plan(
        lanes=tuple(chosen_lanes(lanes)),
        model=models.check(model),
        prompt_tokens=lengths,
        new_tokens=new_tokens,
        runs=runs,
        warmup=warmup,
        mode=mode,
    )
    with closing(Arena(None if no_history else History())) as arena:
        arena.hosts.force = force
        result, interrupted = measure(plan, arena)
    print_notice(arena.history_writer.notice)
    if interrupted:
        say("Interrupted." if result.results else "Interrupted before anything was measured.")
    print_result(result, json_file, to_stdout=json == STDOUT)
    if chart_file is not None:
        draw(result, chart_file)
    if interrupted:
        return INTERRUPTED
    return OK if all(row.status == "ok" for row in result.results) else FAILED


def prompt_lengths(text: str) -> tuple[int, ...]:
    """For example "32,256" as (32, 256). Raises BadInput."""
    try:
        return tuple(int(length) for length in text.split(","))
    except ValueError:
        raise BadInput(
            f"--prompt-tokens {text} is not a list of whole numbers.", "Write it like 32,256."
        ) from None


def measure(plan: Plan, arena: Arena) -> tuple[BenchmarkResult, bool]:
    """The result, complete or up to Ctrl-C, and whether that came; it is saved to the history."""
    result = BenchmarkResult(results=[])
    with ctrl_c() as stop:
        say("measure the memory's copy bandwidth")
        loading = StageLines()
        for step in run(plan, arena, stop):
            result = step.result
            show_progress(step, loading)
        interrupted = stop.is_set()
    arena.keep_benchmark(result)
    return result, interrupted


def print_result(result: BenchmarkResult, file: Path | None, *, to_stdout: bool) -> None:
    """Print the table, on stderr if stdout is for the JSON, and write the JSON file."""
    if to_stdout:
        print(as_text(result))
    if result.results:
        out = sys.stderr if to_stdout else sys.stdout
        print_table(result, Console(file=out, width=None if out.isatty() else 160))
        if file is not None:
            write(file, f"{as_text(result)}\n".encode())
            say(f"The result is in {file}.")


def drawable(path: Path) -> Path:
    """The same path. Raises BadInput for a format that charts do not have."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise BadInput(f"{path} is not the name of a picture.", "End it with .png or .svg.")
    return path


def draw(result: BenchmarkResult, file: Path) -> None:
    """Write the chart of latencies, or print that there were none."""
    try:
        if file.suffix.lower() == ".svg":
            picture = charts.svg(result, charts.LATENCY).encode()
        else:
            picture = charts.png(result, charts.LATENCY)
    except BadInput:
        say(f"{file} is not written: no latency was measured.")
        return
    write(file, picture)
    say(f"The chart is in {file}.")


def show_progress(step: Step, loading: StageLines) -> None:
    """Print on stderr how the lanes load, then each run before it begins."""
    for lane, stage in step.stages:
        loading.show(lane, stage)
    if step.turn is not None:
        names = " + ".join(lane.name for lane in step.turn.lanes)
        tokens = f"{step.turn.prompt_tokens:,} prompt tokens"
        run_number = f"run {step.done + 1} of {step.total}"
        say(joined(run_number, names, tokens, time_left(step.seconds_left)))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def print_table(result: BenchmarkResult, console: Console) -> None:
    """Print one row for each lane and prompt length, and how it was measured."""
    rows: list[list[str | Text]] = [[*cells(row), note(row)] for row in result.results]
    console.print(table(("lane", *FIGURES, ""), rows, right=FIGURES))
    settings, machine = result.settings, result.machine
    mode = settings.mode
    runs = "1 run" if settings.runs == 1 else f"{settings.runs} runs"
    contended = "; contended: lanes share the machine" if mode == TOGETHER else ""
    copy = machine.memory_copy.copy_gbs if machine.memory_copy else None
    console.print(
        f"Medians of {runs} of {settings.new_tokens} tokens, {mode}{contended}. "
        f"MBU is relative to the memory's copy bandwidth, {number(copy, '.1f')} GB/s. "
        f"Idle power: {number(machine.idle_w, '.1f')} W."
    )
    power = machine.power_source
    if power and (text := PowerSource(**power.as_json()).text):
        console.print(text)


def note(row: BenchmarkRecord) -> Text:
    """The error of a row that has one: what is wrong and what to do."""
    if row.status == "ok":
        return Text()
    reason = row.error.text if row.error else f"{len(row.runs)} runs ended."
    return Text(f"{row.status}: {reason}", style=STYLES.get(row.status or "", ""))
