"""What a benchmark leaves behind, as JSON and as a type: records with medians, and the raw times
that they were computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from playground.runs.figures import (
    DeviceLoad,
    Energy,
    Figure,
    Number,
    PeakMemory,
    RecordModel,
    RunFigures,
    Timings,
)
from playground.runs.record import Record, RunResult


class RawRun(RecordModel):
    """One measured run: times in ns of one clock, and what the gauges read."""

    token_ids: list[int] = []
    t0_ns: int | None = None
    t_in_ns: int | None = None
    t_ns: list[int] = []
    peak_rss_mb: PeakMemory = None
    energy_j: Energy = None
    device_busy_pct: DeviceLoad = None
    device_proof: str | None = None


class FirstRun(Timings, RawRun):
    """The first run after the lane was loaded: its times, then its figures."""


class BenchmarkRecord(Record):
    """A lane at one prompt length: the medians of its runs in the places of a run's figures.

    roof_share: the share of the memory's copy bandwidth that decoding uses (0.5 is half).
    """

    contended: bool | None = None
    roof_share: Annotated[Number | None, Figure(better="higher")] = None
    p5: RunFigures = Field(default_factory=RunFigures)
    p95: RunFigures = Field(default_factory=RunFigures)
    runs: list[RawRun] = []
    first_run: FirstRun | None = None


class BenchmarkSettings(RecordModel):
    """Everything needed to repeat a benchmark."""

    lanes: list[str] = []
    model: str | None = None
    prompt_tokens: list[int] = []
    new_tokens: int | None = None
    runs: int | None = None
    warmup: int | None = None
    mode: str | None = None
    temperature: Number | None = None
    ignore_eos: bool | None = None


class MemoryCopy(RecordModel):
    """The memory's copy bandwidth and how it was measured."""

    copy_gbs: Number | None = None
    threads: int | None = None
    array_mb: Number | None = None
    passes: int | None = None


class Conditions(RecordModel):
    """What slows a processor down, at one moment."""

    temperature_c: Number | None = None
    throttle_events: int | None = None
    governor: str | None = None
    cpu_mhz: Number | None = None


class PowerRecord(RecordModel):
    """Battery and power-saving profile while a benchmark ran."""

    on_battery: bool | None = None
    battery_percent: Number | None = None
    profile: str | None = None


class BenchmarkMachine(RecordModel):
    """The machine that was measured, as far as someone needs it to repeat the figures."""

    measured_at: str | None = None
    os: str | None = None
    cpu: str | None = None
    cores: int | None = None
    threads: int | None = None
    memory_gb: Number | None = None
    memory_free_gb: Number | None = None
    power: str | None = None
    program: dict[str, object] = {}
    hardware: list[dict[str, object]] = []
    devices: list[dict[str, object]] = []
    packages: list[dict[str, object]] = []
    memory_copy: MemoryCopy | None = None
    before: Conditions | None = None
    power_source: PowerRecord | None = None
    idle_w: Number | None = None
    after: Conditions | None = None


class BenchmarkResult(RecordModel):
    """What `bench --json` prints."""

    settings: BenchmarkSettings = Field(default_factory=BenchmarkSettings)
    machine: BenchmarkMachine = Field(default_factory=BenchmarkMachine)
    results: list[BenchmarkRecord]

    @property
    def records(self) -> Sequence[Record]:
        return self.results


Result = RunResult | BenchmarkResult


def parse_result(content: Mapping[str, object]) -> Result:
    """A result from JSON; raises pydantic's ValidationError where it is not one."""
    model = BenchmarkResult if "results" in content else RunResult
    return model.model_validate(content)
