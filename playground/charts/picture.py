"""A chart as a file's bytes: matplotlib without pyplot, so without a window or a global figure."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten
from typing import Any, Literal

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine

from playground.charts import bars, lines
from playground.charts.kinds import ALONG, LATENCY, SHARING, Chart, Data
from playground.charts.plot import SMALL, TEXT, WIDTH, Plots, has_spread
from playground.charts.text import shortened
from playground.charts.theme import DARK, LIGHT, Theme
from playground.charts.view import View

Format = Literal["svg", "png"]
DPI = 200
EDGE, GAP = 0.3, 0.1  # around the picture, and around its parts; inches
TITLE = 18  # points
MAX_HEIGHT = 60  # inches, of a figure before its parts are laid out
MAX_NOTE_LENGTH = 400  # characters
# For characters that matplotlib's own font lacks: a model's folder can have any name.
FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "Malgun Gothic",
    "PingFang SC",
    "WenQuanYi Zen Hei",
)
SETTINGS: dict[Any, Any] = {
    "font.size": TEXT,
    "text.parse_math": False,  # a $ is a $
    "svg.fonttype": "path",  # looks the same everywhere
    "svg.hashsalt": "aipc-playground",  # the same ids each time
    "hatch.linewidth": 1.2,
}
DRAW: dict[str, Callable[[SubFigure, Chart, View, Data, Theme], Plots]] = {
    LATENCY: lines.latency,
    ALONG: lines.along,
}
# Neither a date nor a version: the same figures give the same file.
METADATA: dict[Format, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def draw(chart: Chart, view: View, other: View | None, dark: bool, file_format: Format) -> bytes:
    """The picture of the chart. Not thread-safe."""
    with plain_settings():
        figure = as_figure(chart, view, other, DARK if dark else LIGHT)
        file = io.BytesIO()
        figure.savefig(
            file,
            format=file_format,
            dpi=DPI,
            metadata=METADATA[file_format],
            facecolor=figure.get_facecolor(),
        )
    return file.getvalue()


@contextmanager
def plain_settings() -> Iterator[None]:
    """Our settings of matplotlib alone, nothing of a user's matplotlibrc."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**SETTINGS, "font.family": fonts()})
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def fonts() -> list[str]:
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]


def as_figure(chart: Chart, view: View, other: View | None, theme: Theme) -> Figure:
    """Three nested parts, since constrained layout keeps space for one text above and one text or
    legend below each: title and small print, subtitle and published legend, plots and lanes."""
    figure = Figure((WIDTH, MAX_HEIGHT), facecolor=theme.background, layout="constrained")
    outer = nested(figure)
    middle = nested(outer)
    inner = nested(middle)
    data = chart.data(view, other)
    draw_plots = DRAW.get(chart.name, bars.draw)
    plots = draw_plots(inner, chart, view, data, theme)
    add_legend(inner, plots.lanes, theme)
    if plots.published:
        add_legend(middle, plots.published, theme, "Published for this model on other machines:")
    conditions = view.conditions
    if chart.name == SHARING:
        conditions = "together (contended) against in turn"
    title = f"{chart.title} – {chart.better}"
    subtitle = ", ".join(part for part in (chart.unit, view.model, conditions) if part)
    left: dict[str, Any] = {"x": 0, "ha": "left", "wrap": True}
    outer.suptitle(title, fontsize=TITLE, fontweight="bold", color=theme.text, **left)
    middle.suptitle(subtitle, fontsize=TEXT, color=theme.quiet, **left)
    notes = [*plots.notes, chart.note, *view.small_print(any(map(has_spread, data.values())))]
    text = "\n".join(map(fitting, filter(None, notes)))
    outer.supxlabel(text, fontsize=SMALL, color=theme.quiet, linespacing=1.4, **left)
    set_height(figure, inner, plots.height)
    return figure


def nested(part: Figure | SubFigure) -> SubFigure:
    return part.add_subfigure(part.add_gridspec()[0])


def fitting(note: str) -> str:
    """The note with words that fit into a line, and of a length that fits into about four."""
    return shorten(" ".join(map(shortened, note.split())), MAX_NOTE_LENGTH, placeholder=" …")


def add_legend(part: SubFigure, entries: Sequence[Artist], theme: Theme, title: str = "") -> None:
    """Below the part, in as many columns as fit; letters get smaller where a single one is too
    wide."""
    width = part.bbox.width * (1 - 2 * EDGE / WIDTH)
    for columns in range(min(3, len(entries)), 0, -1):
        legend = part.legend(
            handles=entries,
            loc="outside lower left",
            ncols=columns,
            fontsize=SMALL,
            labelcolor=theme.text,
            title=title or None,
            title_fontsize=SMALL,
            alignment="left",
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.4,
            handlelength=2.4,
            columnspacing=1.5,
        )
        legend.get_title().set_color(theme.quiet)
        too_wide = legend.get_window_extent().width / width
        if too_wide <= 1:
            return
        if columns > 1:
            legend.remove()
    for text in legend.get_texts():
        text.set_fontsize(SMALL / too_wide)


def set_height(figure: Figure, part: SubFigure, plot_height: float) -> None:
    """Give the figure the height in inches with which each plot of that part has `plot_height`."""
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(rect=inside(MAX_HEIGHT), w_pad=GAP / 2, h_pad=GAP)
    layout.execute(figure)
    axes = part.axes[0]
    grid = axes.get_gridspec()
    assert grid is not None
    surplus = axes.get_window_extent().height / figure.dpi - plot_height
    height = MAX_HEIGHT - surplus * grid.nrows
    figure.set_size_inches(WIDTH, height)
    layout.set(rect=inside(height))


def inside(height: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a figure without its edge, as parts of the whole."""
    x, y = EDGE / WIDTH, EDGE / height
    return x, y, 1 - 2 * x, 1 - 2 * y
