"""Words around a plot, measured so that nothing overlaps or is cut off: a title, what is compared,
legends, small print. A figure is as high as they need; all measures are inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from playground.charts.theme import Theme

WIDTH = 10.0  # 1,000 pixels at 100 a inch
LEFT, RIGHT, EDGE = 0.8, 0.3, 0.3
TITLE, TEXT, SMALL = 18, 12, 11  # points
POINT = 1 / 72
LINE = 1.4  # lines' distance, of the size of their letters
LABELS_BELOW = 0.62  # of an x axis: ticks and what they are
GAP_BETWEEN = 0.75  # between rows of plots
HANDLE = 0.75  # a legend's sign, and the space around it
MAX_LINES = 4  # of one note
HINTED = 1.02  # letters of pixels are as much wider than their shapes, at most


@dataclass(frozen=True)
class Legend:
    """entries: (what matplotlib shows as a sign, words)."""

    entries: Sequence[tuple[Any, str]]
    title: str = ""


@dataclass(frozen=True)
class Drawn:
    """Plots and their legends. columns: how many plots are side by side."""

    axes: Sequence[Axes]
    legends: Sequence[Legend]
    height: float = 3.7  # of one plot
    columns: int = 1
    notes: Sequence[str] = ()
    whiskers: bool = False


def assemble(
    figure: Figure, drawn: Drawn, title: str, subtitle: str, notes: Sequence[str], theme: Theme
) -> None:
    """Gives everything its place, from the top down, and the figure its height."""
    wide = WIDTH - 2 * EDGE
    lines = [line for note in notes if note for line in wrapped(note, wide, SMALL)]
    rows = -(-len(drawn.axes) // drawn.columns)
    plots = rows * drawn.height + (rows - 1) * GAP_BETWEEN
    head = EDGE + TITLE * POINT * LINE + TEXT * POINT * LINE + 0.34
    shapes = [shape(legend, wide) for legend in drawn.legends]
    below = sum(height + 0.14 for _, height in shapes) + len(lines) * SMALL * POINT * LINE + 0.1
    height = head + plots + LABELS_BELOW + below + EDGE
    figure.set_size_inches(WIDTH, height)

    def text(down: float, words: str, size: int, color: str, **more: Any) -> None:
        place = (EDGE / WIDTH, 1 - down / height)
        figure.text(*place, words, fontsize=size, color=color, va="top", **more)

    text(EDGE, fitted(title, wide, TITLE), TITLE, theme.text, fontweight="bold")
    down = EDGE + TITLE * POINT * LINE
    text(down, fitted(subtitle, wide, TEXT), TEXT, theme.quiet)
    place_plots(drawn, head, height)
    down = head + plots + LABELS_BELOW
    for legend, (columns, legend_height) in zip(drawn.legends, shapes, strict=True):
        add_legend(figure, legend, columns, 1 - down / height, theme)
        down += legend_height + 0.14
    for line in lines:
        text(down, line, SMALL, theme.quiet)
        down += SMALL * POINT * LINE


def place_plots(drawn: Drawn, head: float, height: float) -> None:
    between = LEFT
    across = WIDTH - LEFT - RIGHT
    width = (across - (drawn.columns - 1) * between) / drawn.columns
    for place, axes in enumerate(drawn.axes):
        row, column = divmod(place, drawn.columns)
        left = LEFT + column * (width + between)
        bottom = height - head - drawn.height - row * (drawn.height + GAP_BETWEEN)
        axes.set_position((left / WIDTH, bottom / height, width / WIDTH, drawn.height / height))


def shape(legend: Legend, wide: float) -> tuple[int, float]:
    """Columns and height of a legend."""
    widest = max(width_of(words, SMALL) for _, words in legend.entries) + HANDLE
    columns = max(1, min(len(legend.entries), int(wide // widest), 3))
    rows = -(-len(legend.entries) // columns) + bool(legend.title)
    return columns, rows * SMALL * POINT * 1.45


def add_legend(figure: Figure, legend: Legend, columns: int, top: float, theme: Theme) -> None:
    signs, words = zip(*legend.entries, strict=True)
    found = figure.legend(
        signs,
        [fitted(each, WIDTH - 2 * EDGE - HANDLE, SMALL) for each in words],
        loc="upper left",
        bbox_to_anchor=(EDGE / WIDTH, top),
        ncols=columns,
        fontsize=SMALL,
        labelcolor=theme.text,
        title=legend.title or None,
        title_fontproperties=FontProperties(size=SMALL),
        alignment="left",
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        labelspacing=0.4,
        handlelength=2.4,
        columnspacing=1.5,
    )
    found.get_title().set_color(theme.quiet)


def width_of(text: str, size: float) -> float:
    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=size), ismath=False
    )
    return float(width) * POINT * HINTED


def fitted(text: str, wide: float, size: float) -> str:
    """The text, or its beginning and end with … between."""
    keep = len(text)
    short = text
    while keep > 2 and width_of(short, size) > wide:
        keep = min(keep - 1, int(keep * wide / width_of(short, size)) + 1)
        short = f"{text[: -(-keep // 2)]}…{text[len(text) - keep // 2 :]}"
    return short


def wrapped(text: str, wide: float, size: float) -> list[str]:
    """Lines of whole words; only a word that is a line of its own is shortened."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > wide:
            lines.append(fitted(word, wide, size))
        else:
            lines[-1] = fitted(longer, wide, size)
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], lines[MAX_LINES - 1] + " …"]
    return lines
