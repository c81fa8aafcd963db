"""An entry of the history as a file that the browser saves."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from playground import charts as drawing
from playground.errors import BadInput
from playground.history import Entry, to_csv, to_json, to_markdown

Json = dict[str, Any]

# Ending, and what makes the text. A spreadsheet knows UTF-8 by the mark at its beginning.
FORMATS: dict[str, tuple[str, Callable[[Sequence[Entry]], str]]] = {
    "json": ("json", to_json),
    "csv": ("csv", lambda entries: "\ufeff" + to_csv(entries)),
    "markdown": ("md", to_markdown),
}
_numbers = itertools.count(1)


def file(entry: Entry, what: str) -> Json:
    """what: of FORMATS, or a chart's name. number: makes each press another value.

    Raises BadInput when there is no such file.
    """
    name = f"playground-{entry.kind}-{entry.id}"
    if what in FORMATS:
        ending, make = FORMATS[what]
        data, name = make([entry]).encode("utf-8", "replace"), f"{name}.{ending}"
    elif what in [each.name for each in drawing.available(entry.result)]:
        data, name = drawing.png(entry.result, what), f"{name}-{what}.png"
    else:
        raise BadInput("There is no such export.")
    return {"number": next(_numbers), "name": name, "data": base64.b64encode(data).decode("ascii")}


def charts(entry: Entry) -> list[Json]:
    """Those that can be drawn of it."""
    return [{"name": each.name, "title": each.title} for each in drawing.available(entry.result)]
