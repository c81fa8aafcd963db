"""Entries as JSON, CSV and Markdown: pure functions to text, for files and for the page.

JSON holds everything, and `import_json` makes the same entry of it. A table has one row a lane.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from playground.history.columns import COLUMNS, rows
from playground.history.entry import Entry

FORMAT, VERSION = "aipc-playground", 1
NA = "n/a"
# A spreadsheet computes what begins with one of these (OWASP, "CSV injection").
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
MARKUP = re.compile(r"([\\`*_\[\]<>~|&])")
HEADINGS = {
    "lane": "lane",
    "device_used": "device",
    "device_name": "hardware",
    "recipe": "weights",
    "library_version": "version",
    "status": "status",
    "prompt_tokens": "prompt tokens",
    "new_tokens": "new tokens",
    "ttft_ms": "TTFT ms",
    "decode_tps": "tokens/s",
    "tpot_ms": "TPOT ms",
    "itl_p50_ms": "ITL p50 ms",
    "itl_p95_ms": "ITL p95 ms",
    "load_s": "load s",
    "peak_rss_mb": "peak MB",
    "bandwidth_gbs": "GB/s",
    "energy_j": "J",
    "j_per_token": "J/token",
    "idle_w": "idle W",
    "device_busy_pct": "device busy %",
}
TEXTS = ("lane", "device_used", "device_name", "recipe", "library_version", "status")
DIGITS = {"peak_rss_mb": 0, "device_busy_pct": 0, "load_s": 2, "j_per_token": 3, "idle_w": 1}


def to_json(entries: Sequence[Entry]) -> str:
    """The records: one object for one entry, a list for several."""
    found = [as_json(entry) for entry in entries]
    whole = found[0] if len(found) == 1 else found
    return json.dumps(whole, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_json(entry: Entry) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": entry.kind,
        "made_at": entry.made_at,
        "settings": entry.settings,
        "result": entry.result,
        "gauges": entry.gauges,
    }


def to_csv(entries: Sequence[Entry]) -> str:
    """Figures unrounded, unknown ones empty, lines ended as RFC 4180 has it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerows([harmless(row[name]) for name in COLUMNS] for row in rows(entry))
    return text.getvalue()


def harmless(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula; a number, negative or not, stays one."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(FORMULA) else value


def to_markdown(entries: Sequence[Entry]) -> str:
    """A table for each entry, below a line that says what was run."""
    return "\n".join(table(entry) for entry in entries)


def table(entry: Entry) -> str:
    lines = [
        title(entry),
        "",
        "| " + " | ".join(HEADINGS.values()) + " |",
        "|" + "|".join("---" if name in TEXTS else "---:" for name in HEADINGS) + "|",
    ]
    for row in rows(entry):
        lines.append("| " + " | ".join(cell(name, row[name]) for name in HEADINGS) + " |")
    return "\n".join(lines) + "\n"


def title(entry: Entry) -> str:
    """ "Model SmolLM2 · in-turn · 2026-11-20T12:34:56.789Z"; contended figures are named so."""
    mode = f"{entry.mode}, figures contended" if entry.contended else entry.mode
    parts = (f"Model {entry.model or NA}", mode, entry.made_at)
    return " · ".join(escaped(part) for part in parts if part)


def cell(name: str, value: Any) -> str:
    if value is None:
        return NA
    if isinstance(value, float):
        return f"{value:.{DIGITS.get(name, 1)}f}"
    return escaped(str(value)) or NA


def escaped(text: str) -> str:
    """Text that stays text in a Markdown table's cell, on one line."""
    return MARKUP.sub(r"\\\1", " ".join(text.replace("\0", " ").split()))
