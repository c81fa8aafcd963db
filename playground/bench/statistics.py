"""Many runs → one figure and its spread. Pure functions; what no run knows is None, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor

from playground.runs import metrics

MEASURED = ("peak_rss_mb", "energy_j", "device_busy_pct")  # once a run, not from its times
FIGURES = (*metrics.FIGURES, "bandwidth_gbs", "j_per_token", *MEASURED)
SHARES = {"median": 0.5, "p5": 0.05, "p95": 0.95}

Figures = Mapping[str, float | None]
Summary = dict[str, dict[str, float | None]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value at that share of the sorted ones, 0 to 1, interpolated linearly between the two
    next to it: NumPy's default, `statistics.quantiles(…, method="inclusive")`. Of few runs, p5
    and p95 are close to the least and the greatest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summary(runs: Iterable[Figures]) -> Summary:
    """`{"median": {figure: …}, "p5": {…}, "p95": {…}}` over the runs that know the figure."""
    runs = list(runs)
    found: Summary = {name: {} for name in SHARES}
    for figure in FIGURES:
        known = [value for run in runs if (value := run.get(figure)) is not None]
        for name, share in SHARES.items():
            found[name][figure] = percentile(known, share) if known else None
    return found
