"""An entry of the history as a file that the browser saves."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from playground import charts as drawing
from playground.history import Entry, to_csv, to_json, to_markdown

Json = dict[str, Any]

MARK = "\ufeff"  # at the beginning of a file: a spreadsheet knows UTF-8 by it
# Ending, and what makes the text.
FORMATS: dict[str, tuple[str, Callable[[Sequence[Entry]], str]]] = {
    "json": ("json", to_json),
    "csv": ("csv", lambda entries: MARK + to_csv(entries)),
    "markdown": ("md", to_markdown),
}
_numbers = itertools.count(1)


def file(entry: Entry, what: str, other: Entry | None = None) -> Json:
    """what: of FORMATS, or a chart's name. other: which the chart compares it with. number: makes
    each press another value.

    Raises BadInput when there is no such chart.
    """
    name = f"playground-{entry.kind}-{entry.id}"
    if what in FORMATS:
        ending, make = FORMATS[what]
        data, name = make([entry]).encode("utf-8", "replace"), f"{name}.{ending}"
    else:
        second = other.result if other else None
        data, name = drawing.png(entry.result, what, other=second), f"{name}-{what}.png"
    return {"number": next(_numbers), "name": name, "data": base64.b64encode(data).decode("ascii")}


def charts(entry: Entry) -> list[Json]:
    """Those that can be drawn of it."""
    return [named(each) for each in drawing.available(entry.result)]


def charts_of_two(a: Entry, b: Entry) -> list[Json]:
    """Those that need both."""
    found = drawing.available(a.result, other=b.result)
    return [named(each) for each in found if each.name == drawing.SHARING]


def named(chart: drawing.Chart) -> Json:
    return {"name": chart.name, "title": chart.title}
