"""Files made of an entry of the history, and the charts that can be drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from playground import charts as drawing
from playground.history import Entry, to_csv, to_json, to_markdown
from playground.page.components import Json, download

UTF8_BOM = "\ufeff"  # spreadsheets recognise UTF-8 by it
# File extension, and the function that writes the text.
FORMATS: dict[str, tuple[str, Callable[[Sequence[Entry]], str]]] = {
    "json": ("json", to_json),
    "csv": ("csv", lambda entries: UTF8_BOM + to_csv(entries)),
    "markdown": ("md", to_markdown),
}


def export(entry: Entry, kind: str, other: Entry | None = None) -> Json:
    """kind: one of FORMATS, or a chart's name. other: the entry that the chart compares it with.

    Raises BadInput if there is no such chart.
    """
    stem = f"playground-{entry.kind}-{entry.id}"
    if kind in FORMATS:
        extension, write = FORMATS[kind]
        return download(f"{stem}.{extension}", write([entry]).encode("utf-8", "replace"))
    picture = drawing.png(entry.result, kind, other=other.result if other else None)
    return download(f"{stem}-{kind}.png", picture)


def charts(entry: Entry) -> list[Json]:
    """The charts for which the entry has figures."""
    return [chart_name(chart) for chart in drawing.available(entry.result)]


def comparison_charts(a: Entry, b: Entry) -> list[Json]:
    """The charts that need both entries."""
    available = drawing.available(a.result, other=b.result)
    return [chart_name(chart) for chart in available if chart.name == drawing.SHARING]


def chart_name(chart: drawing.Chart) -> Json:
    """Its name and title."""
    return {"name": chart.name, "title": chart.title}
