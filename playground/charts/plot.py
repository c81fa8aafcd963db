"""What all plots share: sizes, a plain frame from 0 up, and how figures are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from playground.charts.theme import Theme
from playground.charts.view import Bar, Key, View

NA = "n/a"
WIDTH = 10.0  # inches
TEXT, SMALL = 12, 11  # points


@dataclass(frozen=True)
class Plots:
    """What is drawn, and what goes below it: the lanes' legend, one of published figures, notes.

    height: of one plot, in inches.
    """

    lanes: Sequence[Artist]
    published: Sequence[Artist] = ()
    notes: Sequence[str] = ()
    height: float = 3.7


def style_axes(axes: Axes, theme: Theme) -> None:
    """No frame but the bottom line, and horizontal grid lines."""
    axes.set_facecolor(theme.background)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.quiet)
    axes.tick_params(color=theme.quiet, labelcolor=theme.text, length=0)
    axes.grid(axis="y", color=theme.grid, linewidth=1)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def formatted(bar: Bar | None) -> str:
    """Three digits, or all of a greater number: 0.0123, 1.23, 12.3, 1,234."""
    if bar is None:
        return NA
    value = bar.value
    if 100 <= value < 1e6:
        return f"{value:,.0f}"
    if 1 <= value < 100:
        return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{value:.3g}"


def has_spread(value: object) -> bool:
    """Whether it is a bar of several runs that were not all equal."""
    return isinstance(value, Bar) and value.low != value.high


def error_bars(bars: Sequence[Bar]) -> list[list[float]]:
    """The `yerr` of matplotlib: how far p5 is below each value, and p95 above it."""
    below = [0.0 if bar.low is None else bar.value - bar.low for bar in bars]
    above = [0.0 if bar.high is None else bar.high - bar.value for bar in bars]
    return [below, above]


def lane_label(view: View, lane: str, data: Mapping[Key, object]) -> str:
    """A legend's text for a lane, with n/a where nothing of it is known."""
    known = any(data.get((lane, length)) for length in view.lengths)
    return view.label(lane) if known else f"{view.label(lane)}: {NA}"
