"""Entries as JSON, CSV and Markdown: pure functions to text, for files and for the page.

JSON holds everything, and `import_json` restores the same entry from it. A table has one row for
each record.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

from playground.formatting import NA
from playground.history import columns
from playground.history.columns import COLUMNS, FIGURES, RECORD_COLUMNS, Cell, rows
from playground.history.entry import Entry
from playground.runs.record import Record

FORMAT, VERSION = "aipc-playground", 1
# A spreadsheet evaluates a cell that begins with one of these (OWASP, "CSV injection").
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
MARKUP = re.compile(r"([\\`*_\[\]<>~|&])")
HEADINGS = {field: column for field, column in RECORD_COLUMNS.items() if column.heading}


def to_json(entries: Sequence[Entry]) -> str:
    """All that is known: one object for one entry, a list for several."""
    objects = [as_json(entry) for entry in entries]
    content = objects[0] if len(objects) == 1 else objects
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_json(entry: Entry) -> dict[str, object]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": entry.kind,
        "made_at": entry.made_at,
        "settings": entry.settings.as_json(),
        "result": entry.result.as_json(),
        "gauges": entry.gauges,
    }


def to_csv(entries: Sequence[Entry]) -> str:
    """Figures unrounded, unknown ones empty, lines ended with CR LF as in RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerows([harmless(row[name]) for name in COLUMNS] for row in rows(entry))
    return text.getvalue()


def harmless(value: Cell) -> Cell:
    """The value, with text quoted that a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(FORMULA) else value


def to_markdown(entries: Sequence[Entry]) -> str:
    """A table for each entry, below a line that names the model, the mode and the time."""
    return "\n".join(table(entry) for entry in entries)


def table(entry: Entry) -> str:
    lines = [
        title(entry),
        "",
        "| " + " | ".join(column.heading for column in HEADINGS.values()) + " |",
        "|" + "|".join("---:" if name in FIGURES else "---" for name in HEADINGS) + "|",
    ]
    for record in entry.records:
        lines.append("| " + " | ".join(cell(record, name) for name in HEADINGS) + " |")
    return "\n".join(lines) + "\n"


def title(entry: Entry) -> str:
    """ "Model SmolLM2 · in-turn · 2026-11-20T12:34:56.789Z"; says where figures are contended."""
    mode = f"{entry.mode}, figures contended" if entry.contended else entry.mode
    parts = (f"Model {entry.model or NA}", mode, entry.made_at)
    return " · ".join(escaped(part) for part in parts if part)


def cell(record: Record, name: str) -> str:
    value = columns.cell(record, name)
    if value is None:
        return NA
    if isinstance(value, float):
        return f"{value:.{FIGURES[name].digits}f}"
    return escaped(str(value)) or NA


def escaped(text: str) -> str:
    """Text for one line in a cell of a Markdown table, without markup."""
    return MARKUP.sub(r"\\\1", " ".join(text.replace("\0", " ").split()))
