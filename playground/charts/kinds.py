"""Which charts there are, and what each needs to know of a result. No picture is drawn here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playground.charts.view import Key, View

LATENCY, SPEED, TTFT, ENERGY = "latency", "tokens-per-second", "ttft", "j-per-token"
ALONG, SHARING, ROOF = "along-the-answer", "sharing", "memory-roof"
LOWER, HIGHER = "lower is better", "higher is better"


@dataclass(frozen=True)
class Chart:
    """One that can be drawn. title: as it stands in the picture; about: what it shows."""

    name: str
    title: str
    about: str


@dataclass(frozen=True)
class Kind:
    """data: what is drawn, None where it is not known; note: its own small print; line: what to
    compare all bars with, and what it is."""

    chart: Chart
    better: str
    unit: str
    data: Callable[[View, View | None], dict[Key, Any]]
    note: str = ""
    line: tuple[float, Callable[[View], str]] | None = None
