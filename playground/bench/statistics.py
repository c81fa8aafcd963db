"""The figures of many runs → one figure and its spread. Pure functions; what no run knows is None,
never 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from playground.runs.figures import RunFigures


@dataclass(frozen=True)
class Distribution:
    """Each figure's median and its 5th and 95th percentile over some runs."""

    median: RunFigures
    p5: RunFigures
    p95: RunFigures


def percentile(values: Sequence[float], share: float) -> float:
    """The value at that share (0 to 1) of the sorted values, interpolated linearly between its two
    neighbours as by NumPy and by `statistics.quantiles(…, method="inclusive")`. With few runs, p5
    and p95 are close to the smallest and the greatest value."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def distribution(runs: Sequence[RunFigures]) -> Distribution:
    """Over the runs that know the figure; None where none does."""
    known = {
        name: [value for run in runs if (value := getattr(run, name)) is not None]
        for name in RunFigures.model_fields
    }
    median, p5, p95 = (
        RunFigures.model_validate(
            {name: percentile(values, share) if values else None for name, values in known.items()}
        )
        for share in (0.5, 0.05, 0.95)
    )
    return Distribution(median, p5, p95)
