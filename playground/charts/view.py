"""A result as the charts see it: its lanes and prompt lengths, and where it was measured.

A result may come from a file, so a figure out of any sensible range counts as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from playground.charts.text import model_name, one_line, shortened
from playground.history.columns import figure
from playground.history.entry import Entry
from playground.runs.benchmark_record import (
    BenchmarkMachine,
    BenchmarkRecord,
    BenchmarkResult,
    BenchmarkSettings,
    PowerRecord,
    Result,
)
from playground.runs.record import IN_TURN, Record

MAX_FIGURE = 1e18  # of any figure; a clock of ns reaches it after 31 years
Key = tuple[str, int | None]  # a lane and, in a benchmark, a prompt length


@dataclass(frozen=True)
class View:
    """result: what `bench --json` or `ask --json` prints."""

    result: Result

    @cached_property
    def entry(self) -> Entry:
        return Entry(self.result)

    @property
    def is_benchmark(self) -> bool:
        return isinstance(self.result, BenchmarkResult)

    @property
    def settings(self) -> BenchmarkSettings:
        """Of a benchmark; empty for a run."""
        result = self.result
        return result.settings if isinstance(result, BenchmarkResult) else BenchmarkSettings()

    @property
    def machine(self) -> BenchmarkMachine:
        """Of a benchmark; empty for a run, which does not name its machine."""
        result = self.result
        return result.machine if isinstance(result, BenchmarkResult) else BenchmarkMachine()

    @cached_property
    def records(self) -> dict[Key, Record]:
        """By lane and prompt length; a run has one prompt, which engines may count differently."""
        records: dict[Key, Record] = {}
        for record in self.entry.records:
            has_length = self.is_benchmark and number(record.prompt_tokens)
            length = record.prompt_tokens if has_length else None
            records.setdefault((record.lane, length), record)
        return records

    @cached_property
    def lanes(self) -> list[str]:
        return list(dict.fromkeys(lane for lane, _ in self.records))

    @cached_property
    def lengths(self) -> list[int | None]:
        return sorted({length for _, length in self.records}, key=lambda length: length or 0)

    @property
    def model(self) -> str | None:
        model = self.entry.model
        return None if model in (None, "none") else shortened(model_name(model))

    def label(self, lane: str) -> str:
        """A legend's name for a lane, with what went wrong with it."""
        statuses = {record.status for (name, _), record in self.records.items() if name == lane}
        failures = [f" ({status})" for status in ("error", "unavailable") if status in statuses]
        return shortened(lane) + "".join(failures[:1])

    @property
    def conditions(self) -> str:
        if self.entry.contended:
            return "contended: the lanes ran together and shared the machine"
        return "lanes in turn" if self.entry.mode == IN_TURN and len(self.lanes) > 1 else ""

    def small_print(self, whiskers: bool) -> list[str]:
        """What somebody needs to quote the picture: machine, settings, engines, power source."""
        from playground.gauges.power_source import PowerSource  # here: psutil takes long

        day = one_line(self.machine.measured_at or "")[:10]
        setup = [self.settings_text(whiskers), ", ".join(self.engines()), day]
        power = self.machine.power_source or PowerRecord()
        profile = power.profile and one_line(power.profile)
        source = PowerSource(power.on_battery, number(power.battery_percent), profile)
        return [f"Machine: {self.machine_text()}", "; ".join(filter(None, setup)), source.text]

    def machine_text(self) -> str:
        """Processor, other devices of the lanes, system; no name of a user or a computer."""
        machine = self.machine
        threads, memory = number(machine.threads), number(machine.memory_gb)
        cpu = [
            one_line(machine.cpu or ""),
            f"{threads:.0f} logical cores" if threads else "",
            f"{memory:.0f} GB" if memory else "",
        ]
        names = [one_line(record.device_name or "") for record in self.records.values()]
        devices = [name for name in dict.fromkeys(names) if name != cpu[0]]
        parts = [", ".join(filter(None, cpu)), *devices, one_line(machine.os or "")]
        return "; ".join(filter(None, parts)) or "n/a"

    def settings_text(self, whiskers: bool) -> str:
        tokens, runs = number(self.settings.new_tokens), number(self.settings.runs)
        parts = [f"Model: {self.model or 'n/a'}"]
        if tokens:
            parts.append(f"{tokens:,.0f} new tokens, end of text ignored")
        if self.settings.temperature == 0:
            parts.append("greedy")
        if runs:
            parts.append(f"medians of {runs:.0f} runs" if runs > 1 else "1 run")
        if whiskers:
            parts.append("whiskers: p5 to p95")
        return ", ".join(parts)

    def engines(self) -> list[str]:
        """Names and versions, without the suffix of a build: "openvino-genai 2026.4.1.0"."""
        engines = [
            one_line(f"{record.backend or 'n/a'} {record.library_version.partition('-')[0]}")
            for record in self.records.values()
            if record.library_version
        ]
        return list(dict.fromkeys(engines))


@dataclass(frozen=True)
class Bar:
    """A figure, and its p5 and p95 where there were several runs."""

    value: float
    low: float | None = None
    high: float | None = None


def bars(view: View, name: str) -> dict[Key, Bar | None]:
    """One figure of each record."""
    return {key: bar(record, name) for key, record in view.records.items()}


def bar(record: Record, name: str, factor: float = 1.0) -> Bar | None:
    """A figure of a record times a factor; None where it is unknown."""
    value = number(figure(record, name))
    if value is None:
        return None
    if isinstance(record, BenchmarkRecord):
        low, high = (number(getattr(figures, name)) for figures in (record.p5, record.p95))
        if low is not None and high is not None and low <= value <= high:
            return Bar(value * factor, low * factor, high * factor)
    return Bar(value * factor)


def number(value: float | None) -> float | None:
    """The value, or None where it is out of range."""
    return float(value) if value is not None and 0 <= value < MAX_FIGURE else None
