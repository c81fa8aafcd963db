"""What one lane's part in a run leaves behind, as JSON and as a type: the record of
docs/design.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from playground.runs.figures import (
    Bandwidth,
    Column,
    DeviceLoad,
    Energy,
    EnergyPerToken,
    Figure,
    Number,
    PeakMemory,
    RecordModel,
    Timings,
)

TOGETHER, IN_TURN = "together", "in-turn"  # the modes of a run


class Weights(RecordModel):
    """How a lane's weights were quantised, their size, and the bytes that each token reads."""

    recipe: str | None = None
    bytes: int | None = None
    read_bytes: int | None = None


class Failure(RecordModel):
    """What went wrong and what to do about it, a sentence each."""

    message: str = ""
    fix: str = ""

    @property
    def text(self) -> str:
        return " ".join(filter(None, (self.message, self.fix)))


class LaneAnswer(RecordModel):
    """What a lane ran with, and its answer."""

    lane: Annotated[str, Column(heading="lane")]
    backend: str | None = None
    device: str | None = None
    device_used: Annotated[str | None, Column(heading="device")] = None
    device_name: Annotated[str | None, Column(heading="hardware")] = None
    precision: Annotated[str | None, Column()] = None
    weights: Annotated[Weights, Column(heading="weights", name="recipe")] = Field(
        default_factory=Weights
    )
    library_version: Annotated[str | None, Column(heading="version")] = None
    threads: int | None = None
    capacity: int | None = None
    model: str | None = None
    mode: str | None = None
    warm: bool | None = None
    status: Annotated[str | None, Column(heading="status")] = None
    text: str = ""
    token_ids: list[int] = []
    finish_reason: Annotated[str | None, Column()] = None
    prompt_tokens: Annotated[int | None, Figure(heading="prompt tokens", compared=False)] = None
    new_tokens: Annotated[int | None, Figure(heading="new tokens")] = None
    load_s: Annotated[
        Number | None, Figure(heading="load s", unit="s", better="lower", digits=2, resource=True)
    ] = None


class Record(Timings, LaneAnswer):
    """One lane's part in a run. What is unknown is None; units are in the names."""

    peak_rss_mb: PeakMemory = None
    bandwidth_gbs: Bandwidth = None
    energy_j: Energy = None
    j_per_token: EnergyPerToken = None
    idle_w: Annotated[
        Number | None, Figure(heading="idle W", unit="W", compared=False, resource=True)
    ] = None
    device_busy_pct: DeviceLoad = None
    device_proof: Annotated[str | None, Column(resource=True)] = None
    started_ns: int | None = None
    ended_ns: int | None = None
    error: Annotated[Failure | None, Column(resource=True)] = None

    @property
    def energy_per_token(self) -> float | None:
        """Joules; worked out from the whole answer's where an older version did not write it."""
        if self.j_per_token is not None or self.energy_j is None or not self.new_tokens:
            return self.j_per_token
        return self.energy_j / self.new_tokens


class RunSettings(RecordModel):
    """Everything needed to run the same prompt again."""

    prompt: str | None = None
    lanes: list[str] = []
    mode: str | None = None
    max_new_tokens: int | None = None
    temperature: Number | None = None
    system: str | None = None
    model: str | None = None
    ignore_eos: bool | None = None


class RunResult(RecordModel):
    """What `ask --json` prints. power_source: a sentence where the power source lowers figures."""

    mode: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    power_source: str | None = None
    lanes: list[Record]

    @property
    def records(self) -> Sequence[Record]:
        return self.lanes
