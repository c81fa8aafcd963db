"""Lines: latency over prompt lengths beside published figures, and latency along an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from playground.charts.kinds import Chart
from playground.charts.plot import NA, Plots, error_bars, formatted, lane_label, style_axes
from playground.charts.references import Reference, references
from playground.charts.theme import DASHES, MARKERS, Theme, lane_style
from playground.charts.view import Bar, Key, View

MAX_TICKS = 14  # side by side on an axis of lengths
MAX_LINE = 84  # characters of a legend
MARKERS_PER_LINE = 10  # along an answer
PANEL_HEIGHT, MAX_PANELS = 2.3, 12


def latency(
    part: SubFigure, chart: Chart, view: View, data: Mapping[Key, Bar | None], theme: Theme
) -> Plots:
    """A line for each lane over the prompt lengths, and dashed ones published for the model."""
    axes = part.add_subplot()
    style_axes(axes, theme)
    lengths = [length for length in view.lengths if length]
    entries: list[Artist] = []
    for place, lane in enumerate(view.lanes):
        bars = {length: data.get((lane, length)) for length in lengths}
        known = {length: bar for length, bar in bars.items() if bar}
        figures = f"{' / '.join(map(formatted, bars.values()))} ms" if known else NA
        line = lane_line(theme, place, fill(f"{view.label(lane)}: {figures}", MAX_LINE))
        entries.append(line)
        axes.errorbar(
            list(known),
            [bar.value for bar in known.values()],
            yerr=error_bars([*known.values()]),
            color=line.get_color(),
            marker=line.get_marker(),
            markersize=8,
            linewidth=2.2,
            elinewidth=1.3,
            capsize=4,
            zorder=3,
        )
    precisions = {record.precision for record in view.records.values()}
    published = references(view.model, precisions)
    dashed = list(reference_lines(published, theme))
    for line in dashed:
        axes.add_line(line)
    axes.relim()
    axes.set_xscale("log", base=2)
    axes.margins(x=0.06)
    axes.autoscale_view()
    axes.set_ylim(0, None)
    name_lengths(axes, lengths, theme)
    sources = dict.fromkeys(reference.source for reference in published)
    notes = [f"Published figures: {'; '.join(sources)}."] if published else []
    return Plots(entries, dashed, notes, 4.2 if published else 3.7)


def lane_line(theme: Theme, place: int, label: str) -> Line2D:
    """Without points: what a legend shows for a lane."""
    style = lane_style(theme, place)
    return Line2D(
        [], [], color=style.color, marker=style.marker, markersize=8, linewidth=2.2, label=label
    )


def reference_lines(published: Sequence[Reference], theme: Theme) -> Iterator[Line2D]:
    for place, reference in enumerate(published):
        lengths = " / ".join(f"{length:,}" for length in reference.points)
        figures = " / ".join(f"{value:g}" for value in reference.points.values())
        title = f"{reference.machine}, {reference.precision.upper()}"
        yield Line2D(
            list(reference.points),
            list(reference.points.values()),
            label=f"{title}: {figures} ms at {lengths} tokens",
            color=theme.reference,
            linestyle=DASHES[place % len(DASHES)],
            linewidth=1.4,
            marker=MARKERS[place % len(MARKERS)],
            markersize=7,
            markerfacecolor=theme.background,
            markeredgecolor=theme.reference,
            zorder=2,
        )


def name_lengths(axes: Axes, lengths: Sequence[float], theme: Theme) -> None:
    """The measured lengths, without those whose names would overlap."""
    low, high = axes.get_xlim()
    min_ratio = (high / low) ** (1 / MAX_TICKS)
    kept: list[float] = []
    for length in reversed(lengths):
        if not kept or kept[-1] / length >= min_ratio:
            kept.append(length)
    axes.set_xticks(kept, [f"{length:,}" for length in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("input tokens, log scale", color=theme.quiet)


def along(
    part: SubFigure, chart: Chart, view: View, data: Mapping[Key, list[float] | None], theme: Theme
) -> Plots:
    """One plot for each prompt length: every gap between two tokens, at the later one's number."""
    lengths = [
        length for length in view.lengths if any(data.get((lane, length)) for lane in view.lanes)
    ]
    shown = lengths[:MAX_PANELS]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    grid = part.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, length in zip(grid.flat, shown, strict=False):
        style_axes(axes, theme)
        axes.tick_params(labelleft=True)
        axes.set_title(f"{length or 0:,} input tokens", loc="left", fontsize=12, color=theme.text)
        axes.set_xlabel("number of the token", color=theme.quiet)
        for place, lane in enumerate(view.lanes):
            gaps = data.get((lane, length)) or []
            style = lane_style(theme, place)
            axes.plot(
                range(2, len(gaps) + 2),
                gaps,
                color=style.color,
                marker=style.marker,
                markevery=(place, max(len(gaps) // MARKERS_PER_LINE, 1)),
                markersize=6,
                linewidth=1.4,
            )
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    grid.flat[0].set_ylim(0, None)
    entries = [
        lane_line(theme, place, lane_label(view, lane, data))
        for place, lane in enumerate(view.lanes)
    ]
    notes = [f"The first {len(shown)} of {len(lengths)} lengths are shown."]
    height = PANEL_HEIGHT if columns == 2 else 3.7
    return Plots(entries, notes=notes if shown != lengths else [], height=height)
