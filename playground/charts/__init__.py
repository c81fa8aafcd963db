"""Charts of a benchmark or a run, as SVG and PNG. The first drawing imports matplotlib."""

from __future__ import annotations

import threading
from typing import Literal

from playground.charts.kinds import KINDS, LATENCY, SHARING, SPEED, Chart
from playground.charts.view import View
from playground.errors import BadInput
from playground.runs.benchmark_record import Result

__all__ = ["LATENCY", "NAMES", "SHARING", "SPEED", "Chart", "available", "png", "svg"]

NAMES = tuple(KINDS)
Format = Literal["svg", "png"]
_drawing = threading.Lock()  # matplotlib's settings and fonts belong to the whole process


def available(result: Result, other: Result | None = None) -> list[Chart]:
    """The charts that a result has data for.

    other: a second result of the same lanes, one of the two measured together, the other in turn.
    """
    view, other_view = View(result), View(other) if other else None
    return [kind for kind in KINDS.values() if kind.has_data(view, other_view)]


def svg(result: Result, name: str, dark: bool = False, other: Result | None = None) -> str:
    """A chart, ten inches wide; its letters are shapes and need no font.

    Raises BadInput unless the chart is `available`.
    """
    return _draw(result, name, dark, other, "svg").decode("utf-8")


def png(result: Result, name: str, dark: bool = False, other: Result | None = None) -> bytes:
    """The same picture, 2,000 pixels wide. Raises BadInput as `svg` does."""
    return _draw(result, name, dark, other, "png")


def _draw(
    result: Result, name: str, dark: bool, other: Result | None, file_format: Format
) -> bytes:
    names = [chart.name for chart in available(result, other)]
    if name not in names:
        reason = "nothing that it shows is known"
        if name == SHARING:
            reason = "it needs two of the same lanes and model, one together and one in turn"
        raise BadInput(
            f"The chart “{name}” cannot be drawn: {reason}.",
            f"Choose one of: {', '.join(names)}." if names else "Measure something first.",
        )
    from playground.charts.picture import draw  # matplotlib

    with _drawing:
        return draw(KINDS[name], View(result), View(other) if other else None, dark, file_format)
