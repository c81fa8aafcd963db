"""A chart as a file's bytes: matplotlib without pyplot, so without a window and a global figure."""

from __future__ import annotations

import io
import warnings
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from playground.charts import bars, lines
from playground.charts.kinds import ALONG, LATENCY, SHARING, Kind
from playground.charts.layout import TEXT, assemble
from playground.charts.theme import DARK, LIGHT
from playground.charts.view import View

DOTS = 200  # an inch: twice 1,000 pixels
# For what matplotlib's own font does not have: a model's folder can have any name.
FALLBACKS = (
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
DRAW = {LATENCY: lines.latency, ALONG: lines.along}
# Neither a date nor a version: the same figures make the same file.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def draw(kind: Kind, view: View, other: View | None, dark: bool, format: str) -> bytes:
    """What `kind` shows; format: svg | png. One thread at a time."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # nothing of a user's matplotlibrc
        matplotlib.rcParams.update({**SETTINGS, "font.family": fonts()})
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = as_figure(kind, view, other, dark)
        found = io.BytesIO()
        metadata = METADATA[format]
        color = figure.get_facecolor()
        figure.savefig(found, format=format, dpi=DOTS, metadata=metadata, facecolor=color)
    return found.getvalue()


def fonts() -> list[str]:
    known = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in FALLBACKS if name in known)]


def as_figure(kind: Kind, view: View, other: View | None, dark: bool) -> Figure:
    theme = DARK if dark else LIGHT
    figure = Figure(facecolor=theme.background)
    drawn = DRAW.get(kind.chart.name, bars.draw)(figure, kind, view, other, theme)
    comparing = kind.chart.name == SHARING
    conditions = "together (contended) against in turn" if comparing else view.conditions
    subtitle = ", ".join(part for part in (kind.unit, view.model, conditions) if part)
    notes = [*drawn.notes, kind.note, *view.small_print(drawn.whiskers)]
    title = f"{kind.chart.title} – {kind.better}"
    assemble(figure, drawn, title, subtitle, notes, theme)
    return figure
