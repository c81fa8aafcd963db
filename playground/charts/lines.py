"""Lines: the seed's chart of next-token latencies, and the latency along an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from playground.charts.kinds import Kind
from playground.charts.layout import LEFT, RIGHT, WIDTH, Drawn, Legend
from playground.charts.plot import NA, has_spread, prepared, spread_of, written
from playground.charts.references import Reference, references
from playground.charts.theme import DASHES, MARKERS, Theme, lane_style
from playground.charts.view import Bar, Key, View

MIN_GAP = 0.62  # between two ticks, inches
MARKS = 10  # on a line along an answer
PANEL, MAX_PANELS = 2.3, 12


def latency(figure: Figure, kind: Kind, view: View, other: View | None, theme: Theme) -> Drawn:
    """A line a lane over the prompt lengths, and published ones of the same model, dashed."""
    found: Mapping[Key, Bar | None] = kind.data(view, other)
    axes = prepared(figure.add_subplot(), theme, "y")
    lengths = [each for each in view.lengths if each]
    entries = []
    for place, lane in enumerate(view.lanes):
        style = lane_style(theme, place)
        points = [(length, found.get((lane, length))) for length in lengths]
        known = [(length, each) for length, each in points if each]
        line = Line2D([], [], color=style.color, marker=style.marker, markersize=8, linewidth=2.2)
        said = " / ".join(written(each.value) if each else NA for _, each in points)
        unit = " ms" if known else ""
        entries.append((line, f"{view.label(lane)}: {said if known else NA}{unit}"))
        if not known:
            continue
        x, y = zip(*((length, each.value) for length, each in known), strict=True)
        axes.errorbar(
            x,
            y,
            yerr=spread_of([each for _, each in known]),
            color=style.color,
            marker=style.marker,
            markersize=8,
            linewidth=2.2,
            elinewidth=1.3,
            capsize=4,
            zorder=3,
        )
    precisions = {record.precision for record in view.records.values()}
    published = references(view.model, precisions)
    legends = [Legend(entries)]
    if published:
        legends.append(draw_references(axes, published, theme))
    axes.set_xscale("log", base=2)
    axes.set_xlim(*around([*lengths, *(x for each in published for x in each.points)]))
    name_lengths(axes, lengths, theme)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.02)
    sources = dict.fromkeys(each.source for each in published)
    whiskers = any(map(has_spread, found.values()))
    notes = [f"Published, other machines: {'; '.join(sources)}."] if published else []
    height = 4.2 if published else 3.7
    return Drawn([axes], legends, height, notes=notes, whiskers=whiskers)


def draw_references(axes: Axes, published: Sequence[Reference], theme: Theme) -> Legend:
    entries = []
    for place, each in enumerate(published):
        line = Line2D(
            list(each.points),
            list(each.points.values()),
            color=theme.reference,
            linestyle=DASHES[place % len(DASHES)],
            linewidth=1.4,
            marker=MARKERS[place % len(MARKERS)],
            markersize=7,
            markerfacecolor=theme.background,
            markeredgecolor=theme.reference,
            zorder=2,
        )
        axes.add_line(line)
        said = " / ".join(f"{value:g}" for value in each.points.values())
        lengths = " / ".join(f"{length:,}" for length in each.points)
        words = f"{each.machine}, {each.precision.upper()}: {said} ms at {lengths} tokens"
        entries.append((line, words))
    axes.relim()
    axes.autoscale_view()
    return Legend(entries, "Published, another machine each, same model:")


def around(values: Sequence[float]) -> tuple[float, float]:
    """A log axis with some space at both ends, also around a single length."""
    low, high = min(values), max(values)
    space = max((high / low) ** 0.06, 1.15)
    return low / space, high * space


def name_lengths(axes: Axes, lengths: Sequence[float], theme: Theme) -> None:
    """The lengths that were measured, less those whose names would overlap."""
    low, high = axes.get_xlim()
    an_inch = log(high / low) / (WIDTH - LEFT - RIGHT)
    kept: list[float] = []
    for length in reversed(lengths):
        if not kept or log(kept[-1] / length) >= MIN_GAP * an_inch:
            kept.append(length)
    axes.set_xticks(kept, [f"{each:,}" for each in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)
    axes.set_xlabel("input tokens, log scale", color=theme.quiet)


def along(figure: Figure, kind: Kind, view: View, other: View | None, theme: Theme) -> Drawn:
    """One plot a prompt length; each gap between two tokens over the later one's number."""
    found: Mapping[Key, list[float] | None] = kind.data(view, other)
    lengths = [each for each in view.lengths if any(found.get((lane, each)) for lane in view.lanes)]
    plots: list[Axes] = []
    for length in lengths[:MAX_PANELS]:
        axes = prepared(figure.add_subplot(sharey=plots[0] if plots else None), theme, "y")
        axes.set_title(f"{length or 0:,} input tokens", loc="left", fontsize=12, color=theme.text)
        for place, lane in enumerate(view.lanes):
            style = lane_style(theme, place)
            gaps = found.get((lane, length)) or []
            axes.plot(
                range(2, len(gaps) + 2),
                gaps,
                color=style.color,
                marker=style.marker,
                markevery=(place, max(len(gaps) // MARKS, 1)),
                markersize=6,
                linewidth=1.4,
            )
        axes.set_xlabel("number of the token", color=theme.quiet)
        plots.append(axes)
    plots[0].set_ylim(0, None)
    entries = []
    for place, lane in enumerate(view.lanes):
        style = lane_style(theme, place)
        line = Line2D([], [], color=style.color, marker=style.marker, markersize=6, linewidth=1.8)
        known = any(found.get((lane, length)) for length in lengths)
        entries.append((line, view.label(lane) if known else f"{view.label(lane)}: {NA}"))
    columns = 1 if len(plots) == 1 else 2
    more = len(lengths) - len(plots)
    notes = [f"Of {len(lengths)} lengths the first {len(plots)} are shown."] if more else []
    return Drawn(plots, [Legend(entries)], PANEL if columns == 2 else 3.7, columns, notes)
