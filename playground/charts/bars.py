"""Bars: one a lane, in a group for each prompt length, with p5–p95 as whiskers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from playground.charts.kinds import Kind
from playground.charts.layout import LEFT, POINT, RIGHT, SMALL, WIDTH, Drawn, Legend, width_of
from playground.charts.plot import NA, has_spread, prepared, spread_of, written
from playground.charts.theme import Theme, lane_style
from playground.charts.view import Bar, Key, View

HEIGHT = 3.7
WIDEST = 1.1  # of a bar, inches
GROUP = 0.84  # of the space of a group
ABOVE = 4  # points between a bar and its figure


def draw(figure: Figure, kind: Kind, view: View, other: View | None, theme: Theme) -> Drawn:
    found: Mapping[Key, Bar | None] = kind.data(view, other)
    lanes, lengths = view.lanes, view.lengths
    axes = prepared(figure.add_subplot(), theme, "y")
    inches = (WIDTH - LEFT - RIGHT) / len(lengths)
    width = min(GROUP / len(lanes), WIDEST / inches)
    labels = Labels(found, width * inches, theme)
    top = max(each.high or each.value for each in found.values() if each) or 1.0
    line: Any = {"color": theme.text, "linewidth": 1.3, "linestyle": (0, (6, 3))}
    if kind.line is not None:
        top = max(top, kind.line[0])
        axes.axhline(kind.line[0], **line, zorder=1)
    axes.set_ylim(0, top / (1 - labels.room / HEIGHT))
    for place, lane in enumerate(lanes):
        style = lane_style(theme, place)
        for group, length in enumerate(lengths):
            at = group + (place - (len(lanes) - 1) / 2) * width
            each = found.get((lane, length))
            if each is not None:
                axes.bar(
                    at,
                    each.value,
                    width * 0.92,
                    color=style.color,
                    hatch=style.hatch,
                    edgecolor=theme.background,
                    linewidth=0,
                    zorder=2,
                )
                whisker(axes, at, each, theme)
            labels.write(axes, at, each)
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    name_groups(axes, view, theme)
    entries = lane_entries(view, found, theme)
    if kind.line is not None:
        entries.append((Line2D([], [], **line), f"{kind.line[0]:g} %: {kind.line[1](view)}"))
    whiskers = any(map(has_spread, found.values()))
    return Drawn([axes], [Legend(entries)], HEIGHT, whiskers=whiskers)


class Labels:
    """Figures above bars: level where they fit, upright where bars are slim, none where they are
    too slim for that; what is not known is always said.

    room: what the highest one needs, inches.
    """

    def __init__(self, found: Mapping[Key, Bar | None], bar_inches: float, theme: Theme) -> None:
        words = [written(each.value) if each else NA for each in found.values()]
        longest = max(width_of(each, SMALL) for each in words)
        high = SMALL * POINT * 1.1
        self._theme = theme
        self._upright = longest * 1.15 > bar_inches
        self._shown = not self._upright or high * 0.95 <= bar_inches
        self.room = ABOVE * POINT + 0.1 + (longest if self._upright else high)

    def write(self, axes: Axes, at: float, bar: Bar | None) -> None:
        if bar is not None and not self._shown:
            return
        axes.annotate(
            written(bar.value) if bar else NA,
            (at, (bar.high or bar.value) if bar else 0),
            xytext=(0, ABOVE),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90 if self._upright else 0,
            fontsize=SMALL,
            color=self._theme.text if bar else self._theme.quiet,
        )


def whisker(axes: Axes, at: float, bar: Bar, theme: Theme) -> None:
    if not has_spread(bar):
        return
    spread = spread_of([bar])
    axes.errorbar(
        at, bar.value, yerr=spread, ecolor=theme.text, elinewidth=1.3, capsize=3, zorder=3
    )


def name_groups(axes: Axes, view: View, theme: Theme) -> None:
    if view.is_bench:
        names = [NA if each is None else f"{each:,}" for each in view.lengths]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlabel("input tokens", color=theme.quiet)
        return
    counts = {record.prompt_tokens for record in view.records.values()} - {None}
    said = f"a prompt of {counts.pop():,} tokens" if len(counts) == 1 else "one prompt"
    axes.set_xticks([])
    axes.set_xlabel(said, color=theme.quiet)


def lane_entries(
    view: View, found: Mapping[Key, Bar | None], theme: Theme
) -> list[tuple[Artist, str]]:
    entries: list[tuple[Artist, str]] = []
    for place, lane in enumerate(view.lanes):
        style = lane_style(theme, place)
        sign = Patch(
            facecolor=style.color, hatch=style.hatch, edgecolor=theme.background, linewidth=0
        )
        known = any(found.get((lane, length)) for length in view.lengths)
        entries.append((sign, view.label(lane) if known else f"{view.label(lane)}: {NA}"))
    return entries
