"""Tables and JSON on stdout. Only what prints a table imports rich, which takes long."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STYLES = {"ok": "green", "error": "red", "unavailable": "yellow", "stopped": "yellow"}


def print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))  # paths as text


def joined(*parts: str) -> str:
    """The parts that are not empty, for one cell or line."""
    return " · ".join(filter(None, parts))


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()
) -> Table:
    """A table without lines whose long cells are folded. right: the headings of figures."""
    from rich.table import Table
    from rich.text import Text

    output = Table(box=None, pad_edge=False)
    for heading in headings:
        output.add_column(heading, overflow="fold", justify="right" if heading in right else "left")
    for row in rows:
        output.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return output


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[str] = (),
    width: int = 160,
) -> None:
    """Print as wide as the terminal is; `width` counts where there is none."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else width)
    console.print(table(headings, rows, right))
