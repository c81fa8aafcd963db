"""One thing that was measured: a run of Compare or a bench, with its settings and gauges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playground.runs.request import TOGETHER

RUN, BENCH = "run", "bench"
ROWS = {RUN: "lanes", BENCH: "results"}  # where a result keeps its records
MAX_PROMPT_PREVIEW = 200  # characters of it in a summary


@dataclass(frozen=True)
class Entry:
    """As it was handed to the store, or was read from a file. made_at: ISO 8601, UTC."""

    kind: str
    result: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    gauges: list[Any] = field(default_factory=list)
    made_at: str | None = None  # None: a bare result does not tell
    id: int | None = None  # None: it is in no store

    @property
    def records(self) -> list[dict[str, Any]]:
        """One a lane, and of a bench one a lane and prompt length."""
        return list(self.result[ROWS[self.kind]])

    @property
    def mode(self) -> str | None:
        return self.said("mode")

    @property
    def model(self) -> str | None:
        return self.said("model")

    @property
    def contended(self) -> bool:
        """Whether its lanes shared cores, memory bandwidth and power."""
        return self.mode == TOGETHER and len({record["lane"] for record in self.records}) > 1

    def said(self, name: str) -> Any:
        """A setting, wherever this kind of result tells it; None when nobody does."""
        inner = self.result.get("settings")
        places = (self.result, inner, self.settings, *self.records[:1])
        found = (place.get(name) for place in places if isinstance(place, Mapping))
        return next((value for value in found if value is not None), None)

    def summary(self) -> dict[str, Any]:
        """What a list shows of it."""
        prompt = self.settings.get("prompt")
        lanes: dict[str, dict[str, Any]] = {}
        for record in self.records:  # of a bench: the first of its lengths
            lanes.setdefault(record["lane"], record)
        return {
            "prompt": prompt[:MAX_PROMPT_PREVIEW] if isinstance(prompt, str) else "",
            "model": self.model,
            "mode": self.mode,
            "lanes": [
                {
                    "lane": lane,
                    "status": record.get("status"),
                    "decode_tps": record.get("decode_tps"),
                    "prompt_tokens": record.get("prompt_tokens"),
                }
                for lane, record in lanes.items()
            ],
        }

    def words(self) -> str:
        """What a search looks through: prompts, model and lanes, in small letters."""
        asked = [self.settings.get("prompt"), self.settings.get("system"), self.model]
        return "\n".join(
            [str(text) for text in asked if text] + [record["lane"] for record in self.records]
        ).casefold()


@dataclass(frozen=True)
class Summary:
    """One line of the list; lanes: {lane, status, decode_tps, prompt_tokens} each."""

    id: int
    kind: str
    made_at: str
    prompt: str
    model: str | None
    mode: str | None
    lanes: list[dict[str, Any]]

    def at(self, lane: Mapping[str, Any]) -> str:
        """Which of a benchmark's prompt lengths the lane's figure is of: " at 32"."""
        length = lane.get("prompt_tokens")
        return f" at {length:,}" if self.kind == BENCH and length else ""


def bare(result: dict[str, Any]) -> Entry:
    """What `ask --json` or `bench --json` printed, which tells no more than itself."""
    return Entry(BENCH if ROWS[BENCH] in result else RUN, result)
