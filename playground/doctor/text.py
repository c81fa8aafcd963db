"""A report as Markdown, ready to be pasted into an issue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

ACRONYMS = ("cpu", "gb", "id", "luid", "os", "pci")
Row = Mapping[str, object]


def markdown(report: Mapping[str, Row | Sequence[Row]]) -> str:
    """A heading and a table for each section."""
    parts = ["# Playground report"]
    for name, section in report.items():
        parts += [f"## {title(name)}", table(section)]
    return "\n\n".join(parts) + "\n"


def table(section: Row | Sequence[Row]) -> str:
    """Rows below each other; a mapping has a row for each key."""
    if isinstance(section, Mapping):
        section = [{"": title(key), " ": value} for key, value in section.items()]
    if not section:
        return "None."
    columns = list(section[0])
    lines = [[title(column) for column in columns], ["---"] * len(columns)]
    lines += [[cell(row.get(column)) for column in columns] for row in section]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def title(key: str) -> str:
    """ "memory_free_gb" as "Memory free, GB"."""
    words = [word.upper() if word in ACRONYMS else word for word in key.split("_")]
    text = " ".join(words).replace(" GB", ", GB")
    return text[:1].upper() + text[1:]


def cell(value: object) -> str:
    """A value on one line, with Markdown's and HTML's characters escaped."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(cell, value)) or "none"
    return re.sub(r"([\\|*`<\[~])", r"\\\1", " ".join(str(value).split()))
