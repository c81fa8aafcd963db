"""Colours of the page's two themes, and what tells lanes apart beside colour."""

from __future__ import annotations

from dataclasses import dataclass

MARKERS = "os^DvP"
HATCHES = ("", "//", "..", "\\\\", "xx", "--")
DASHES = ((0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 3)), (0, (3, 3)))


@dataclass(frozen=True)
class Theme:
    """lanes: the accents of playground/page/static/base.css; in the dark theme lighter ones."""

    background: str
    text: str
    quiet: str
    grid: str
    reference: str
    lanes: tuple[str, ...]


LIGHT = Theme(
    background="#ffffff",
    text="#0f172a",
    quiet="#475569",
    grid="#e2e8f0",
    reference="#7c8594",
    lanes=("#4f46e5", "#0d9488", "#d97706", "#be185d", "#0369a1", "#65a30d"),
)
DARK = Theme(
    background="#0b0f19",
    text="#f1f5f9",
    quiet="#a3b1c6",
    grid="#263042",
    reference="#8b97a9",
    lanes=("#818cf8", "#2dd4bf", "#fbbf24", "#f472b6", "#38bdf8", "#a3e635"),
)


@dataclass(frozen=True)
class LaneStyle:
    """marker: of lines; hatch: of bars; both as matplotlib calls them."""

    color: str
    marker: str
    hatch: str


def lane_style(theme: Theme, place: int) -> LaneStyle:
    """Of the lane at that place in the result, the same in every chart of it."""
    turn = place + place // len(theme.lanes)  # a seventh lane: a colour again, with other signs
    return LaneStyle(
        theme.lanes[place % len(theme.lanes)],
        MARKERS[turn % len(MARKERS)],
        HATCHES[turn % len(HATCHES)],
    )
