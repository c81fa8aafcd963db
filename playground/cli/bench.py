"""`python -m playground bench`: figures one can quote, in a table and as JSON."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from playground import charts, models
from playground.arena import Arena
from playground.bench import plan as defaults
from playground.bench.plan import Plan
from playground.bench.results import as_text
from playground.bench.running import Step, run
from playground.bench.table import cells
from playground.cli.models import ctrl_c
from playground.cli.options import (
    FAILED,
    INTERRUPTED,
    OK,
    add_lanes,
    add_model,
    add_no_history,
    chosen_lanes,
    say_trouble,
)
from playground.cli.render import STYLES, StageLines
from playground.errors import BadInput, PlaygroundError
from playground.formatting import number, time_left
from playground.gauges.power_source import PowerSource
from playground.history import History
from playground.runs.benchmark_record import BenchmarkRecord, BenchmarkResult
from playground.runs.record import IN_TURN, TOGETHER

STDOUT = "-"


def add_commands(commands: Any) -> None:
    """To the parser of `python -m playground`."""
    command = commands.add_parser("bench", help="measure lanes at exact prompt lengths")
    add_model(command)
    add_lanes(command)
    command.add_argument(
        "--prompt-tokens",
        type=lengths,
        default=defaults.PROMPT_TOKENS,
        metavar="N,N",
        help="prompt lengths, exact; 32,256,512,1024 unless told",
    )
    for name, default, what in (
        ("--new-tokens", defaults.NEW_TOKENS, "of each answer; the end of text is ignored"),
        ("--runs", defaults.RUNS, "measured ones of each lane and length"),
        ("--warmup", defaults.WARMUP, "runs before them, which are left out"),
    ):
        what = f"{what}; {default} unless told"
        command.add_argument(name, type=int, default=default, metavar="N", help=what)
    command.add_argument("--mode", choices=[IN_TURN, TOGETHER], default=IN_TURN)
    command.add_argument(
        "--force", action="store_true", help="load a model even if memory seems too small for it"
    )
    command.add_argument(
        "--json", metavar="FILE", help="write the result with all raw times; - prints it"
    )
    command.add_argument(
        "--chart",
        metavar="FILE",
        help="draw the next-token latency at each length; PNG or SVG, as the name ends",
    )
    add_no_history(command)
    command.set_defaults(command=bench)


def lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is no list of whole numbers such as 32,256"
        ) from None


def bench(options: argparse.Namespace) -> int:
    file = None if options.json in (None, STDOUT) else writable(Path(options.json))
    picture = None if options.chart is None else writable(drawable(Path(options.chart)))
    plan = Plan(
        lanes=tuple(chosen_lanes(options)),
        model=models.check(options.model),
        prompt_tokens=options.prompt_tokens,
        new_tokens=options.new_tokens,
        runs=options.runs,
        warmup=options.warmup,
        mode=options.mode,
    )
    arena = Arena(None if options.no_history else History())
    arena.hosts.force = options.force
    result = BenchmarkResult(results=[])
    try:
        with ctrl_c() as stop:
            say("measure the memory's copy bandwidth")
            show = BenchProgress()
            for step in run(plan, arena, stop):
                result = step.result
                show(step)
            interrupted = stop.is_set()
        arena.keep_benchmark(result)
    finally:
        arena.close()
    say_trouble(arena.history_writer)
    if interrupted:
        say("Interrupted." if result.results else "Interrupted before anything was measured.")
    print_result(result, file, to_stdout=options.json == STDOUT)
    if picture is not None:
        draw(result, picture)
    if interrupted:
        return INTERRUPTED
    return OK if all(row.status == "ok" for row in result.results) else FAILED


def print_result(result: BenchmarkResult, file: Path | None, *, to_stdout: bool) -> None:
    """The table, on stderr where stdout is for the JSON; a file is replaced when it is whole."""
    if to_stdout:
        print(as_text(result))
    if result.results:
        out = sys.stderr if to_stdout else sys.stdout
        print_table(result, Console(file=out, width=None if out.isatty() else 160))
        if file is not None:
            write(file, f"{as_text(result)}\n".encode())
            say(f"The result is in {file}.")


def drawable(path: Path) -> Path:
    if path.suffix.lower() not in (".png", ".svg"):
        raise BadInput(f"{path} is no name of a picture.", "End it with .png or .svg.")
    return path


def draw(result: BenchmarkResult, file: Path) -> None:
    """The seed's chart; a sentence where there is nothing to draw."""
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


class BenchProgress:
    """Lines on stderr: how the lanes load, then each run before it begins."""

    def __init__(self) -> None:
        self._stages = StageLines()

    def __call__(self, step: Step) -> None:
        for lane, stage in step.stages:
            self._stages.show(lane, stage)
        if step.turn is not None:
            names = " + ".join(lane.name for lane in step.turn.lanes)
            parts = [f"run {step.done + 1} of {step.total}", names]
            parts += [f"{step.turn.prompt_tokens:,} prompt tokens", time_left(step.seconds_left)]
            say(" · ".join(filter(None, parts)))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def print_table(result: BenchmarkResult, console: Console) -> None:
    """One row a lane and prompt length; medians, and the decode rate's p5 and p95."""
    table = Table(box=None, pad_edge=False)
    table.add_column("lane", overflow="fold")
    for heading in ("prompt", "TTFT ms", "tok/s", "p5–p95", "TPOT ms", "J/token", "of the roof"):
        table.add_column(heading, justify="right")
    table.add_column("load s", justify="right")
    table.add_column("", overflow="fold")
    for row in result.results:
        table.add_row(*map(Text, cells(row)), note(row))
    console.print(table)
    settings, machine = result.settings, result.machine
    mode = settings.mode
    runs = "1 run" if settings.runs == 1 else f"{settings.runs} runs"
    contended = "; contended: lanes share the machine" if mode == TOGETHER else ""
    copy = machine.memory_copy.copy_gbs if machine.memory_copy else None
    console.print(
        f"Medians of {runs} of {settings.new_tokens} tokens, {mode}{contended}. "
        f"Memory's copy bandwidth: {number(copy, '.1f')} GB/s. "
        f"Power before, idle: {number(machine.idle_w, '.1f')} W."
    )
    power = machine.power_source
    if power and (text := PowerSource(**power.as_json()).text):
        console.print(text)


def note(row: BenchmarkRecord) -> Text:
    """Nothing where all is well, else what was wrong and what to do."""
    if row.status == "ok":
        return Text()
    reason = row.error.text if row.error else f"{len(row.runs)} runs ended."
    return Text(f"{row.status}: {reason}", style=STYLES.get(row.status or "", ""))


def writable(path: Path) -> Path:
    """The same path; BadInput where no file can be written there. An old one is left as it is."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", "Name a file.")
    part = part_of(path)
    try:
        part.open("xb").close()
        part.unlink()
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}.",
            "Name a file in a folder that you can write to.",
        ) from error
    return path


def write(path: Path, data: bytes) -> None:
    """All of it or nothing; raises PlaygroundError."""
    part = part_of(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PlaygroundError(
            f"{path} could not be written: {error.strerror}.",
            "The table above is all that is left of this benchmark.",
        ) from error


def part_of(path: Path) -> Path:
    """What it is called until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")
