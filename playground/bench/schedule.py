"""The order of the runs, and an estimate of the time left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from playground.bench.plan import Plan
from playground.lanes.lane import Lane
from playground.runs.record import TOGETHER


@dataclass(frozen=True)
class Turn:
    """Lanes that run at the same time. round: numbered through the whole benchmark, since each has
    a prompt of its own; counts: it is not a warm-up."""

    lanes: tuple[Lane, ...]
    prompt_tokens: int
    round: int
    counts: bool


def turns(plan: Plan) -> list[Turn]:
    """Lanes alternate at each length (A B C A B C), as a processor slows down when it gets warm."""
    groups = [plan.lanes] if plan.mode == TOGETHER else [(lane,) for lane in plan.lanes]
    rounds = plan.warmup + plan.runs
    return [
        Turn(group, tokens, place * rounds + number, number >= plan.warmup)
        for place, tokens in enumerate(plan.prompt_tokens)
        for number in range(rounds)
        for group in groups
    ]


class Pace:
    """Estimates the time left from the turns so far."""

    def __init__(self) -> None:
        self._durations: dict[tuple[Lane, ...], dict[int, float]] = {}  # s, by prompt length

    def add(self, turn: Turn, seconds: float) -> None:
        self._durations.setdefault(turn.lanes, {})[turn.prompt_tokens] = seconds

    def left(self, coming: Iterable[Turn]) -> float | None:
        """Seconds; None before the first turn has ended."""
        if not self._durations:
            return None
        return sum(self._estimate(turn) for turn in coming)

    def _estimate(self, turn: Turn) -> float:
        """The latest duration of the same lanes at the nearest length; before their first turn, the
        average of all."""
        durations = self._durations.get(turn.lanes)
        if durations is None:
            return fmean(s for lanes in self._durations.values() for s in lanes.values())
        return durations[min(durations, key=lambda tokens: abs(tokens - turn.prompt_tokens))]
