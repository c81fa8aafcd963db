"""What a worker reports of a loaded lane, and the capacities of engines with static shapes."""

from __future__ import annotations

from typing import TypedDict

from playground.models import WeightsInfo

# Tokens of prompt and answer for which an engine with static shapes can be loaded. Each is compiled
# separately, so there are few. Default: the middle one, unless a prompt needs more.
CAPACITIES = (256, 1024, 4096)


class LoadedLane(TypedDict, total=False):
    """The fields of a worker's `LoadedEvent`; empty while nothing is loaded."""

    device_used: str
    device_name: str
    library_version: str
    threads: int | None
    notes: list[str]
    capacity: int | None
    max_prompt: int | None
    weights: WeightsInfo | None
    load_s: float
    warm: bool


def capacity_for(tokens: int, context: int) -> int:
    """The smallest capacity for so many tokens, or else the largest, within the model's context."""
    fitting = (capacity for capacity in CAPACITIES if capacity >= tokens)
    return min(next(fitting, CAPACITIES[-1]), context)
