"""What all plots have in common: a quiet frame from 0 up, and how figures are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from playground.charts.theme import Theme
from playground.charts.view import Bar

NA = "n/a"


def prepared(axes: Axes, theme: Theme, grid: Literal["both", "y"]) -> Axes:
    axes.set_facecolor(theme.background)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.quiet)
    axes.tick_params(color=theme.quiet, labelcolor=theme.text, length=0)
    axes.grid(axis=grid, color=theme.grid, linewidth=1)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    return axes


def written(value: float) -> str:
    """Three digits, or all of a greater number: 0.0123, 1.23, 12.3, 1,234."""
    if value >= 1e6:
        return f"{value:.3g}"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 1:
        return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{value:.3g}"


def has_spread(bar: Bar | None) -> bool:
    return bar is not None and bar.low != bar.high


def spread_of(bars: Sequence[Bar]) -> list[list[float]]:
    """What `errorbar` wants: how far p5 is below each, and p95 above."""
    below = [each.value - (each.value if each.low is None else each.low) for each in bars]
    above = [(each.value if each.high is None else each.high) - each.value for each in bars]
    return [below, above]
