"""`python -m playground gauges`: the load of the devices and the power, in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from playground.cli.command import OK
from playground.cli.options import AsJson
from playground.cli.output import joined, print_json, print_table
from playground.errors import BadInput
from playground.formatting import NA
from playground.gauges.summary import measure, rows

MAX_SECONDS = 3600
Seconds = Annotated[
    float, typer.Option("--seconds", metavar="N", help="Average over this many seconds.")
]


def gauges(seconds: Seconds = 2.0, as_json: AsJson = False) -> int:
    if not 0.1 <= seconds <= MAX_SECONDS:  # also refuses NaN
        raise BadInput(
            f"Gauges cannot be read over {seconds:g} seconds.",
            f"Give a number of seconds from 0.1 to {MAX_SECONDS}.",
        )
    summary = measure(seconds)
    if as_json:
        print_json(summary)
        return OK
    cells = [
        (row["gauge"], row["reading"] or NA, joined(row["name"], row["source"], row["note"]))
        for row in rows(summary)
    ]
    print_table(("gauge", "", "what · source"), cells)
    return OK
