"""In which order runs come, and how long those to come will take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from playground.bench.plan import Plan
from playground.lanes.lane import Lane
from playground.runs.record import TOGETHER


@dataclass(frozen=True)
class Turn:
    """Lanes that go at once. round: counted through the benchmark, so that no two have a prompt in
    common; counts: it is no warm-up."""

    lanes: tuple[Lane, ...]
    prompt_tokens: int
    round: int
    counts: bool


def turns(plan: Plan) -> list[Turn]:
    """Lanes take turns at each length (A B C A B C): heat favours whoever goes first."""
    groups = [plan.lanes] if plan.mode == TOGETHER else [(lane,) for lane in plan.lanes]
    each = plan.warmup + plan.runs
    return [
        Turn(group, tokens, place * each + number, number >= plan.warmup)
        for place, tokens in enumerate(plan.prompt_tokens)
        for number in range(each)
        for group in groups
    ]


class Pace:
    """Estimates from the turns that were taken."""

    def __init__(self) -> None:
        self._took: dict[tuple[Lane, ...], dict[int, float]] = {}  # seconds by prompt length

    def took(self, turn: Turn, seconds: float) -> None:
        self._took.setdefault(turn.lanes, {})[turn.prompt_tokens] = seconds

    def left(self, coming: Iterable[Turn]) -> float | None:
        """Seconds; None before anything was measured."""
        if not self._took:
            return None
        return sum(self._estimate(turn) for turn in coming)

    def _estimate(self, turn: Turn) -> float:
        """As long as the same lanes last took at that length, or at the nearest; lanes that have
        not had a turn yet, as long as the others."""
        mine = self._took.get(turn.lanes)
        if mine is None:
            return fmean(seconds for each in self._took.values() for seconds in each.values())
        return mine[min(mine, key=lambda tokens: abs(tokens - turn.prompt_tokens))]
