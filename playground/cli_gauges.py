"""`python -m playground gauges`: what the devices do, in the terminal."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from playground.cli_options import OK, print_json
from playground.errors import BadInput, PlaygroundError
from playground.gauges.sampler import Sampler
from playground.gauges.summary import summary
from playground.terminal import number

LONGEST_S = 3600
START_S = 20  # for the libraries of drivers to start


def add_commands(commands: Any) -> None:
    command = commands.add_parser("gauges", help="show how busy CPU, GPU and NPU are, and power")
    command.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        metavar="N",
        help="means over N seconds; 2 unless told",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=gauges)


def gauges(options: argparse.Namespace) -> int:
    if not 0.1 <= options.seconds <= LONGEST_S:  # also refuses NaN
        raise BadInput(
            f"Gauges cannot be read over {options.seconds:g} seconds.",
            f"Give a number of seconds from 0.1 to {LONGEST_S}.",
        )
    with closing(Sampler(dict)) as sampler:
        found = read(sampler, options.seconds)
    if options.json:
        print_json(found)
    else:
        print_gauges(found)
    return OK


def read(sampler: Sampler, seconds: float) -> dict[str, Any]:
    """The means of so many seconds from when the first reading is there."""
    patience = time.monotonic() + START_S
    while not sampler.samples:
        if time.monotonic() > patience:
            raise PlaygroundError("The gauges do not answer.", "Details are in the log.")
        time.sleep(0.05)
        sampler.mark()
    with sampler.recording() as samples:
        time.sleep(seconds)
        sampler.mark()
    return summary(samples)


def print_gauges(found: dict[str, Any]) -> None:
    """A row for each; why it is unknown stands where the figure would."""
    memory, power = found["memory"], found["power"]
    table = Table(box=None, pad_edge=False)
    for heading in ("gauge", "", "what · where from"):
        table.add_column(heading, overflow="fold")
    table.add_row("CPU", percent(found["cpu"]), found["cpu"].get("reason", "the whole machine"))
    used, total = (
        number(memory[key] and memory[key] / 1e3, ".1f") for key in ("used_mb", "total_mb")
    )
    table.add_row("memory", percent(memory), f"{used} of {total} GB")
    for label, device in [*(("GPU", each) for each in found["gpu"]), ("NPU", found["npu"])]:
        about = [device.get(key) for key in ("name", "source", "reason")]
        table.add_row(label, percent(device), Text(" · ".join(each for each in about if each)))
    watts = "n/a" if power["watts"] is None else f"{power['watts']:.1f} W"
    table.add_row("power", watts, Text(power["source"] or power["reason"]))
    Console(width=None if Console().is_terminal else 160).print(table)


def percent(row: dict[str, Any]) -> str:
    return "n/a" if row["percent"] is None else f"{row['percent']:.0f} %"
