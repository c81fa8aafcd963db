"""Bars: one for each lane, grouped by prompt length, with p5 to p95 as whiskers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch

from playground.charts.kinds import Chart
from playground.charts.plot import (
    NA,
    SMALL,
    WIDTH,
    Plots,
    error_bars,
    formatted,
    has_spread,
    lane_label,
    style_axes,
)
from playground.charts.theme import Theme, lane_style
from playground.charts.view import Bar, Key, View

MAX_BAR_WIDTH = 1.1  # inches
GROUP_WIDTH = 0.84  # of the space of a group
CHARACTER_WIDTH, LINE_HEIGHT = 0.1, 0.17  # of a figure above a bar, inches
MAX_LEVEL_LENGTHS = 12  # more of them are written upright below their groups


def draw(
    part: SubFigure, chart: Chart, view: View, data: Mapping[Key, Bar | None], theme: Theme
) -> Plots:
    """One plot; a figure that is not known is written as n/a and has no bar."""
    axes = part.add_subplot()
    style_axes(axes, theme)
    group_inches = (WIDTH - 1) / len(view.lengths)
    width = min(GROUP_WIDTH / len(view.lanes), MAX_BAR_WIDTH / group_inches)
    rotation = label_rotation(data, width * group_inches)
    for (place, lane), (group, length) in product(enumerate(view.lanes), enumerate(view.lengths)):
        bar = data.get((lane, length))
        container = axes.bar(
            group + (place - (len(view.lanes) - 1) / 2) * width,
            bar.value if bar else 0,
            width * 0.92,
            yerr=error_bars([bar]) if bar and has_spread(bar) else None,
            error_kw={"ecolor": theme.text, "elinewidth": 1.3, "capsize": 3},
            **look(place, theme),
        )
        if bar is None or rotation is not None:
            axes.bar_label(
                container,
                [formatted(bar)],
                padding=4,
                rotation=rotation or 0,
                fontsize=SMALL,
                color=theme.text if bar else theme.quiet,
            )
    entries: list[Artist] = [
        Patch(label=lane_label(view, lane, data), **look(place, theme))
        for place, lane in enumerate(view.lanes)
    ]
    if chart.line is not None:
        value, describe = chart.line
        label = f"{value:g} %: {describe(view)}"
        style: Any = {"color": theme.text, "linewidth": 1.3, "linestyle": (0, (6, 3))}
        entries.append(axes.axhline(value, label=label, zorder=1, **style))
    axes.set_ylim(0, None)
    axes.set_xlim(-0.5, len(view.lengths) - 0.5)
    name_groups(axes, view, theme)
    return Plots(entries)


def look(place: int, theme: Theme) -> dict[str, Any]:
    """Colour and hatching of a lane's bars, whose edges would only make them wider."""
    style = lane_style(theme, place)
    return {
        "facecolor": style.color,
        "hatch": style.hatch,
        "edgecolor": theme.background,
        "linewidth": 0,
    }


def label_rotation(data: Mapping[Key, Bar | None], bar_inches: float) -> int | None:
    """0° where the figures are no wider than a bar, 90° where only a line is; else None."""
    longest = max(len(formatted(bar)) for bar in data.values())
    if longest * CHARACTER_WIDTH <= bar_inches:
        return 0
    return 90 if bar_inches >= LINE_HEIGHT else None


def name_groups(axes: Axes, view: View, theme: Theme) -> None:
    if view.is_benchmark:
        names = [NA if length is None else f"{length:,}" for length in view.lengths]
        upright = len(names) > MAX_LEVEL_LENGTHS
        axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
        axes.set_xlabel("input tokens", color=theme.quiet)
        return
    counts = {record.prompt_tokens for record in view.records.values()} - {None}
    prompt = f"a prompt of {counts.pop():,} tokens" if len(counts) == 1 else "one prompt"
    axes.set_xticks([])
    axes.set_xlabel(prompt, color=theme.quiet)
