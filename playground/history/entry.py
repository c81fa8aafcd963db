"""An entry of the history: a run or a benchmark with its settings and gauges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from playground.runs.benchmark_record import BenchmarkResult, BenchmarkSettings, Result
from playground.runs.figures import Number, RecordModel
from playground.runs.record import TOGETHER, Record, RunResult, RunSettings

RUN, BENCH = "run", "bench"
MAX_PROMPT_PREVIEW = 200  # characters in a summary


class LaneSummary(RecordModel):
    """A lane in the list; of a benchmark, at the first of its prompt lengths."""

    lane: str
    status: str | None = None
    decode_tps: Number | None = None
    prompt_tokens: Number | None = None


class Summary(RecordModel):
    """One line of the list."""

    id: int
    kind: str
    made_at: str
    prompt: str = ""
    model: str | None = None
    mode: str | None = None
    lanes: list[LaneSummary] = []

    def at(self, lane: LaneSummary) -> str:
        """The prompt length of a benchmark's figure: " at 32"."""
        length = lane.prompt_tokens
        return f" at {length:,}" if self.kind == BENCH and length else ""


@dataclass(frozen=True)
class Entry:
    """A result with what belongs to it. made_at: ISO 8601, UTC, None where a file does not tell;
    id: None where it is in no store; gauges: JSON objects, unchecked."""

    result: Result
    settings: RunSettings | BenchmarkSettings = field(default_factory=RunSettings)
    gauges: Sequence[object] = field(default_factory=list)
    made_at: str | None = None
    id: int | None = None

    @property
    def kind(self) -> str:
        return RUN if isinstance(self.result, RunResult) else BENCH

    @property
    def records(self) -> Sequence[Record]:
        """One for each lane; of a benchmark, one for each lane and prompt length."""
        return self.result.records

    @property
    def mode(self) -> str | None:
        return self._text("mode")

    @property
    def model(self) -> str | None:
        return self._text("model")

    @property
    def temperature(self) -> float | None:
        temperature = self.setting("temperature")
        return temperature if isinstance(temperature, int | float) else None

    @property
    def prompt(self) -> str:
        return self._text("prompt") or ""

    @property
    def contended(self) -> bool:
        """Whether its lanes shared cores, memory bandwidth and power."""
        return self.mode == TOGETHER and len({record.lane for record in self.records}) > 1

    def setting(self, name: str) -> object:
        """A setting from wherever this kind of result keeps it; None where it is unknown."""
        inner = getattr(self.result, "settings", None)
        places = (self.result, inner, self.settings, *self.records[:1])
        values = (getattr(place, name, None) for place in places)
        return next((value for value in values if value is not None), None)

    def _text(self, name: str) -> str | None:
        value = self.setting(name)  # of any type: a file may have keys that are not checked
        return value if isinstance(value, str) else None

    def summary(self) -> dict[str, object]:
        """The fields of a `Summary`, without those that the store has columns for."""
        lanes: dict[str, Record] = {}
        for record in self.records:
            lanes.setdefault(record.lane, record)
        return {
            "prompt": self.prompt[:MAX_PROMPT_PREVIEW],
            "model": self.model,
            "mode": self.mode,
            "lanes": [
                {name: getattr(record, name) for name in LaneSummary.model_fields}
                for record in lanes.values()
            ],
        }

    def search_text(self) -> str:
        """The text that a search looks through, in lower case: prompts, model and lanes."""
        texts = [self.prompt, self.setting("system"), self.model]
        lanes = [record.lane for record in self.records]
        return "\n".join([str(text) for text in texts if text] + lanes).casefold()


def parse_entry(
    kind: str,
    content: Mapping[str, object],
    made_at: str | None = None,
    entry_id: int | None = None,
) -> Entry:
    """An entry from the JSON objects `settings`, `result` and `gauges`.

    Raises pydantic's ValidationError where they are not those of the kind.
    """
    settings, result = content.get("settings"), content.get("result")
    gauges = content.get("gauges")
    listed = gauges if isinstance(gauges, list) else []
    if kind == BENCH:
        parsed = BenchmarkResult.model_validate(result)
        return Entry(parsed, BenchmarkSettings.model_validate(settings), listed, made_at, entry_id)
    run = RunResult.model_validate(result)
    return Entry(run, RunSettings.model_validate(settings), listed, made_at, entry_id)
