"""Two runs, or two benchmarks, side by side: a ratio for each lane and figure."""

from __future__ import annotations

from dataclasses import dataclass

from playground.history import columns
from playground.history.entry import BENCH, Entry
from playground.runs.record import IN_TURN, TOGETHER, Record

SETTINGS = ("model", "prompt", "system", "max_new_tokens", "temperature", "mode")
Key = tuple[str, int | None]


@dataclass(frozen=True)
class ComparisonRow:
    """One figure of one lane; None where it is unknown. ratio: b over a."""

    lane: str
    prompt_tokens: int | None
    figure: str
    a: float | None
    b: float | None
    ratio: float | None


@dataclass(frozen=True)
class Sharing:
    """What sharing the machine costs a lane: its tokens/s together over its tokens/s in turn."""

    lane: str
    prompt_tokens: int | None
    together: float | None
    in_turn: float | None
    ratio: float | None


@dataclass(frozen=True)
class Comparison:
    """differing: the settings that are not the same; a ratio then shows their effect, too."""

    rows: list[ComparisonRow]
    sharing: list[Sharing]
    differing: list[str]


def compare(a: Entry, b: Entry) -> Comparison:
    """Every lane of either entry, those of `a` first; in a benchmark, every prompt length too."""
    records_a, records_b = by_lane(a), by_lane(b)
    keys = [*records_a, *(key for key in records_b if key not in records_a)]
    rows = []
    for key in keys:
        for figure in (name for name, column in columns.FIGURES.items() if column.compared):
            value_a, value_b = (
                columns.figure(records[key], figure) if key in records else None
                for records in (records_a, records_b)
            )
            rows.append(ComparisonRow(*key, figure, value_a, value_b, ratio(value_b, value_a)))
    differing = [name for name in SETTINGS if a.setting(name) != b.setting(name)]
    return Comparison(rows, sharing(a, b), differing)


def sharing(a: Entry, b: Entry) -> list[Sharing]:
    """The lanes that both entries have; empty unless one ran together and the other in turn, with
    the same model."""
    modes = {entry.mode: entry for entry in (a, b)}
    if set(modes) != {TOGETHER, IN_TURN} or a.model != b.model or a.kind != b.kind:
        return []
    if not modes[TOGETHER].contended:  # one lane alone shares nothing
        return []
    together, in_turn = by_lane(modes[TOGETHER]), by_lane(modes[IN_TURN])
    return [
        Sharing(*key, shared, alone, ratio(shared, alone))
        for key, record in together.items()
        if key in in_turn
        for shared, alone in [(record.decode_tps, in_turn[key].decode_tps)]
    ]


def by_lane(entry: Entry) -> dict[Key, Record]:
    """The records of an entry. A run has one prompt; a benchmark has one for each length."""
    records: dict[Key, Record] = {}
    for record in entry.records:
        length = record.prompt_tokens if entry.kind == BENCH else None
        records.setdefault((record.lane, length), record)
    return records


def ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base
