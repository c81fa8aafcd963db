"""Two runs, or two benches, side by side: a ratio for each lane and figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playground.history.columns import rows
from playground.history.entry import BENCH, Entry
from playground.runs.request import IN_TURN, TOGETHER

FIGURES = (
    "new_tokens",
    "ttft_ms",
    "decode_tps",
    "tpot_ms",
    "itl_p50_ms",
    "itl_p95_ms",
    "load_s",
    "peak_rss_mb",
    "bandwidth_gbs",
    "j_per_token",
)
SETTINGS = ("model", "prompt", "system", "max_new_tokens", "temperature", "mode")
Key = tuple[str, int | None]


@dataclass(frozen=True)
class ComparisonRow:
    """One figure of one lane; None is what is not known. ratio: b over a."""

    lane: str
    prompt_tokens: int | None
    figure: str
    a: float | None
    b: float | None
    ratio: float | None


@dataclass(frozen=True)
class Sharing:
    """What sharing the machine costs a lane: its tokens/s Together over those In turn."""

    lane: str
    prompt_tokens: int | None
    together: float | None
    in_turn: float | None
    ratio: float | None


@dataclass(frozen=True)
class Comparison:
    """differing: the settings that are not the same, in which case a ratio tells of those too."""

    rows: list[ComparisonRow]
    sharing: list[Sharing]
    differing: list[str]


def compare(a: Entry, b: Entry) -> Comparison:
    """Every lane of either, those of `a` first; of a bench, every lane and prompt length."""
    first, second = by_lane(a), by_lane(b)
    keys = [*first, *(key for key in second if key not in first)]
    found = [
        ComparisonRow(*key, figure, x, y, ratio(y, x))
        for key in keys
        for figure in FIGURES
        for x, y in [(first.get(key, {}).get(figure), second.get(key, {}).get(figure))]
    ]
    differing = [name for name in SETTINGS if a.said(name) != b.said(name)]
    return Comparison(found, sharing(a, b), differing)


def sharing(a: Entry, b: Entry) -> list[Sharing]:
    """For the lanes that are in both; empty unless one ran Together and the other In turn, with
    the same model."""
    modes = {entry.mode: entry for entry in (a, b)}
    if set(modes) != {TOGETHER, IN_TURN} or a.model != b.model or a.kind != b.kind:
        return []
    if not modes[TOGETHER].contended:  # one lane alone shares nothing
        return []
    together, in_turn = by_lane(modes[TOGETHER]), by_lane(modes[IN_TURN])
    found = []
    for key in together:
        if key in in_turn:
            shared, alone = together[key]["decode_tps"], in_turn[key]["decode_tps"]
            found.append(Sharing(*key, shared, alone, ratio(shared, alone)))
    return found


def by_lane(entry: Entry) -> dict[Key, dict[str, Any]]:
    """The rows of an entry. A run has one prompt; a bench tells lengths apart."""
    found: dict[Key, dict[str, Any]] = {}
    for row in rows(entry):
        length = row["prompt_tokens"] if entry.kind == BENCH else None
        found.setdefault((row["lane"], length), row)
    return found


def ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base
