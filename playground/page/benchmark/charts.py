"""The charts of a finished benchmark."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from playground import charts
from playground.runs.benchmark_record import BenchmarkResult

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChartImages:
    """One chart: as SVG for each theme, and as PNG to save."""

    name: str
    title: str
    about: str
    light: str
    dark: str
    png: bytes


def draw(result: BenchmarkResult) -> list[ChartImages]:
    """All charts for which the result has figures; an error in them must not cost the table."""
    try:
        return [
            ChartImages(
                chart.name,
                chart.title,
                chart.about,
                charts.svg(result, chart.name),
                charts.svg(result, chart.name, dark=True),
                charts.png(result, chart.name),
            )
            for chart in charts.available(result)
        ]
    except Exception:
        log.exception("The charts could not be drawn")
        return []
