"""The columns of a table of records, the same for CSV, Markdown and the terminal. They derive from
the fields of `Record`."""

from __future__ import annotations

from playground.history.entry import Entry
from playground.runs.figures import Figure, columns_of
from playground.runs.record import Failure, Record, Weights

Cell = str | int | float | None

RECORD_COLUMNS = columns_of(Record)  # by field
FIGURES = {name: column for name, column in RECORD_COLUMNS.items() if isinstance(column, Figure)}
# A CSV file begins each row with the entry that the record is part of.
COLUMNS = (
    *("run", "made_at", "kind", "model", "mode", "contended"),
    *(column.name or field for field, column in RECORD_COLUMNS.items()),
)


def rows(entry: Entry) -> list[dict[str, Cell]]:
    """One row for each record; what is unknown is None."""
    return [
        {
            "run": entry.id,
            "made_at": entry.made_at,
            "kind": entry.kind,
            "model": record.model or entry.model,
            "mode": record.mode or entry.mode,
            "contended": "yes" if entry.contended else "no",
            **{column.name or name: cell(record, name) for name, column in RECORD_COLUMNS.items()},
        }
        for record in entry.records
    ]


def cell(record: Record, field: str) -> Cell:
    value = figure(record, field) if field in FIGURES else getattr(record, field)
    if isinstance(value, Weights):
        return value.recipe
    if isinstance(value, Failure):
        return value.text or None
    return value if isinstance(value, str | int | float) else None


def figure(record: Record, field: str) -> float | None:
    """A figure of a record; energy per token also where an older version did not write it."""
    value: float | None = (
        record.energy_per_token if field == "j_per_token" else getattr(record, field)
    )
    return value
