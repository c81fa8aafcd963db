"""Charts of a bench or a run, as SVG and PNG. matplotlib is imported when the first is drawn."""

from __future__ import annotations

import threading

from playground.charts.kinds import KINDS, LATENCY, SHARING, SPEED, Chart, knows
from playground.charts.view import View
from playground.errors import BadInput
from playground.runs.benchmark_record import Result

__all__ = ["LATENCY", "NAMES", "SHARING", "SPEED", "Chart", "available", "png", "svg"]

NAMES = tuple(KINDS)
_drawing = threading.Lock()  # matplotlib's settings and fonts are the whole process's


def available(result: Result, other: Result | None = None) -> list[Chart]:
    """Those for which something is known of `result`, what `bench --json` or `ask --json` prints.

    other: a second one of the same lanes, one Together and one In turn, in any order.
    """
    view, second = View(result), View(other) if other else None
    return [kind.chart for kind in KINDS.values() if knows(kind.data(view, second).values())]


def svg(result: Result, name: str, dark: bool = False, other: Result | None = None) -> str:
    """Ten inches wide; its letters are shapes and need no font.

    Raises BadInput where `available` does not name it.
    """
    return _draw(result, name, dark, other, "svg").decode("utf-8")


def png(result: Result, name: str, dark: bool = False, other: Result | None = None) -> bytes:
    """The same picture, 2,000 pixels wide. Raises BadInput as `svg` does."""
    return _draw(result, name, dark, other, "png")


def _draw(result: Result, name: str, dark: bool, other: Result | None, format: str) -> bytes:
    names = [chart.name for chart in available(result, other)]
    if name not in names:
        why = "nothing that it shows is known"
        if name == SHARING:
            why = "it needs two of the same lanes and model, one together and one in turn"
        raise BadInput(
            f"The chart “{name}” cannot be drawn: {why}.",
            f"Choose one of: {', '.join(names)}." if names else "Measure something first.",
        )
    from playground.charts.picture import draw  # matplotlib

    with _drawing:
        return draw(KINDS[name], View(result), View(other) if other else None, dark, format)
