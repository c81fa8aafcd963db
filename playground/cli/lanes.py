"""`python -m playground lanes`, and the lanes that the option `--lanes` names."""

from __future__ import annotations

from rich.text import Text

from playground.cli.command import OK
from playground.cli.options import AsJson, Model
from playground.cli.output import print_json, print_table, table
from playground.lanes import lane as lanes
from playground.models import DEFAULT_MODEL, check


def list_lanes(as_json: AsJson = False, model: Model = DEFAULT_MODEL) -> int:
    rows = lanes.table(check(model))
    if as_json:
        print_json(rows)
        return OK
    output = table("lane", "model", "status", "reason · what to do")
    for row in rows:
        reason = " · ".join(filter(None, [row["reason"], row["fix"]]))
        output.add_row(Text(row["lane"]), Text(row["model"]), row["status"], Text(reason))
    print_table(output)
    return OK


def chosen_lanes(names: str) -> list[lanes.Lane]:
    """The lanes of `--lanes A,B`, or the default ones."""
    chosen = [name for name in names.split(",") if name.strip()]
    return lanes.parse_all(chosen) if chosen else lanes.default_lanes()
