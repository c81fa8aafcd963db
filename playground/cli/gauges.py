"""`python -m playground gauges`: what the devices do, in the terminal."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from playground.cli.options import OK, print_json
from playground.errors import BadInput
from playground.gauges.summary import measure, rows

MAX_SECONDS = 3600


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
    if not 0.1 <= options.seconds <= MAX_SECONDS:  # also refuses NaN
        raise BadInput(
            f"Gauges cannot be read over {options.seconds:g} seconds.",
            f"Give a number of seconds from 0.1 to {MAX_SECONDS}.",
        )
    found = measure(options.seconds)
    if options.json:
        print_json(found)
        return OK
    table = Table(box=None, pad_edge=False)
    for heading in ("gauge", "", "what · where from"):
        table.add_column(heading, overflow="fold")
    for row in rows(found):
        about = " · ".join(filter(None, (row["name"], row["source"], row["note"])))
        table.add_row(row["gauge"], row["reading"] or "n/a", Text(about))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return OK
