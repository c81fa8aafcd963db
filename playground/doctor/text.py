"""A report as Markdown, ready to be pasted into an issue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

ACRONYMS = ("cpu", "gb", "id", "luid", "os", "pci")


def markdown(report: Mapping[str, Any]) -> str:
    """A heading and a table a section."""
    parts = ["# Playground report"]
    for key, value in report.items():
        parts += [f"## {title(key)}", table(value)]
    return "\n\n".join(parts) + "\n"


def table(value: Any) -> str:
    """Rows under each other; a mapping has a row for each key."""
    if isinstance(value, Mapping):
        rows: Sequence[Mapping[str, Any]] = [
            {"": title(key), " ": each} for key, each in value.items()
        ]
    else:
        rows = list(value)
    if not rows:
        return "None."
    columns = list(rows[0])
    lines = [[title(column) for column in columns], ["---"] * len(columns)]
    lines += [[cell(row.get(column)) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def title(key: str) -> str:
    """ "memory_free_gb" is "Memory free, GB"."""
    words = [word.upper() if word in ACRONYMS else word for word in key.split("_")]
    text = " ".join(words).replace(" GB", ", GB")
    return text[:1].upper() + text[1:]


def cell(value: Any) -> str:
    """One line; nothing in it is taken for markup."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(cell(each) for each in value) or "none"
    return re.sub(r"([\\|*`<\[~])", r"\\\1", " ".join(str(value).split()))
