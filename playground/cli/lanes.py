"""`python -m playground lanes`, and the lanes that the option `--lanes` names."""

from __future__ import annotations

from playground.cli.command import OK
from playground.cli.options import AsJson, Model
from playground.cli.output import joined, print_json, print_table
from playground.lanes import lane as lanes
from playground.models import DEFAULT_MODEL, check


def list_lanes(as_json: AsJson = False, model: Model = DEFAULT_MODEL) -> int:
    rows = lanes.table(check(model))
    if as_json:
        print_json(rows)
        return OK
    print_table(
        ("lane", "model", "status", "reason · what to do"),
        (
            (row["lane"], row["model"], row["status"], joined(row["reason"], row["fix"]))
            for row in rows
        ),
    )
    return OK


def chosen_lanes(names: str) -> list[lanes.Lane]:
    """The lanes of `--lanes A,B`, or the default ones."""
    chosen = [name for name in names.split(",") if name.strip()]
    return lanes.parse_all(chosen) if chosen else lanes.default_lanes()
