"""Tables and JSON on stdout."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table

STYLES = {"ok": "green", "error": "red", "unavailable": "yellow", "stopped": "yellow"}


def print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def table(*headings: str) -> Table:
    """A table without lines whose long cells are folded."""
    empty = Table(box=None, pad_edge=False)
    for heading in headings:
        empty.add_column(heading, overflow="fold")
    return empty


def print_table(filled: Table, width: int = 160) -> None:
    """Print as wide as the terminal is; `width` counts where there is none."""
    Console(width=None if sys.stdout.isatty() else width).print(filled)
