"""A result as the charts see it: which lanes at which prompt lengths, and where it was measured.

What is not known, or is no number in a file from elsewhere, is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import PureWindowsPath

from playground.gauges.power_source import PowerSource
from playground.history.columns import figure
from playground.history.entry import BENCH, Entry
from playground.models.hub.files import parse_id
from playground.runs.benchmark_record import (
    BenchmarkMachine,
    BenchmarkRecord,
    BenchmarkResult,
    PowerRecord,
    Result,
)
from playground.runs.record import IN_TURN, Record

MAX_NAME_LENGTH = 48  # characters of a lane
MOST = 1e18  # of any figure; a clock of ns is there after 31 years
Key = tuple[str, int | None]  # a lane and, of a bench, a prompt length
UNKNOWN = BenchmarkMachine()


@dataclass(frozen=True)
class View:
    """result: what `bench --json` or `ask --json` prints."""

    result: Result

    @cached_property
    def entry(self) -> Entry:
        return Entry(self.result)

    @property
    def machine_record(self) -> BenchmarkMachine:
        """Of a benchmark; empty where the result does not name its machine."""
        return self.result.machine if isinstance(self.result, BenchmarkResult) else UNKNOWN

    @property
    def is_bench(self) -> bool:
        return self.entry.kind == BENCH

    @cached_property
    def records(self) -> dict[Key, Record]:
        """By lane and prompt length; the prompt of a Compare run is one, however it is counted."""
        found: dict[Key, Record] = {}
        for record in self.entry.records:
            tokens = number(record.prompt_tokens) if self.is_bench else None
            found.setdefault((record.lane, int(tokens) if tokens else None), record)
        return found

    @property
    def lanes(self) -> list[str]:
        return list(dict.fromkeys(lane for lane, _ in self.records))

    @property
    def lengths(self) -> list[int | None]:
        return sorted({length for _, length in self.records}, key=lambda each: each or 0)

    @property
    def model(self) -> str | None:
        return None if self.entry.model in (None, "none") else model_name(str(self.entry.model))

    def label(self, lane: str) -> str:
        """What a legend calls the lane: its name, and what went wrong with it if something did."""
        said = {each.status for (name, _), each in self.records.items() if name == lane}
        wrong = [f" ({word})" for word in ("error", "unavailable") if word in said]
        name = plain(lane)
        if len(name) > MAX_NAME_LENGTH:
            name = f"{name[: MAX_NAME_LENGTH // 2]}…{name[-MAX_NAME_LENGTH // 2 :]}"
        return name + "".join(wrong[:1])

    def small_print(self, whiskers: bool) -> list[str]:
        """What someone needs to quote a picture: the machine, the settings, the engines."""
        found = [self.settings(whiskers), ", ".join(self.engines())]
        day = plain(self.machine_record.measured_at or "")[:10]
        source = power(self.machine_record.power_source).text
        return [f"Machine: {self.machine()}", "; ".join(filter(None, [*found, day])), source]

    def machine(self) -> str:
        """Processor, other devices that lanes used, system: no name of a user or a computer."""
        machine = self.machine_record
        threads, memory = number(machine.threads), number(machine.memory_gb)
        cpu = [
            plain(machine.cpu or ""),
            f"{threads:.0f} logical cores" if threads else "",
            f"{memory:.0f} GB" if memory else "",
        ]
        names = [plain(record.device_name or "") for record in self.records.values()]
        devices = [name for name in dict.fromkeys(names) if name != cpu[0]]
        parts = [", ".join(filter(None, cpu)), *devices, plain(machine.os or "")]
        return "; ".join(filter(None, parts)) or "n/a"

    def settings(self, whiskers: bool) -> str:
        said = self.entry.setting
        tokens, runs = (number(said(name)) for name in ("new_tokens", "runs"))
        parts = [f"Model: {self.model or 'n/a'}"]
        if self.is_bench and tokens:
            parts.append(f"{tokens:,.0f} new tokens, end of text ignored")
        if self.is_bench and said("temperature") == 0:
            parts.append("greedy")
        if self.is_bench and runs:
            parts.append(f"medians of {runs:.0f} runs" if runs > 1 else "1 run")
        if whiskers:
            parts.append("whiskers: p5 to p95")
        return ", ".join(parts)

    def engines(self) -> list[str]:
        """ "openvino-genai 2026.4.1.0", without what a build adds to a version."""
        found = [
            f"{plain(record.backend)} {plain(record.library_version).partition('-')[0]}"
            for record in self.records.values()
            if record.library_version
        ]
        return list(dict.fromkeys(found))

    @property
    def conditions(self) -> str:
        if self.entry.contended:
            return "contended: the lanes ran together and shared the machine"
        return "lanes in turn" if self.entry.mode == IN_TURN and len(self.lanes) > 1 else ""


@dataclass(frozen=True)
class Bar:
    """A figure, and its p5 and p95 where there were several runs."""

    value: float
    low: float | None = None
    high: float | None = None


def bars(view: View, figure: str) -> dict[Key, Bar | None]:
    """One figure of each record."""
    return {key: bar(record, figure) for key, record in view.records.items()}


def bar(record: Record, name: str, factor: float = 1.0) -> Bar | None:
    value = number(figure(record, name))
    if value is None:
        return None
    if not isinstance(record, BenchmarkRecord):
        return Bar(value * factor)
    low, high = (number(getattr(figures, name)) for figures in (record.p5, record.p95))
    if low is None or high is None or not low <= value <= high:
        return Bar(value * factor)
    return Bar(value * factor, low * factor, high * factor)


def number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < MOST else None


def power(record: PowerRecord | None) -> PowerSource:
    if record is None:
        return PowerSource()
    profile = plain(record.profile) if record.profile else None
    return PowerSource(record.on_battery is True, number(record.battery_percent), profile)


def model_name(model: str) -> str:
    """A preset's or a hub's name as it is; of a path, which may tell a user's name, the end."""
    name = plain(model)
    if "\\" not in name and ("/" not in name or parse_id(name)):
        return name
    return PureWindowsPath(name).name or "a folder"  # knows both kinds of slash


def plain(text: object) -> str:
    """One line without control signs, which neither XML nor a reader takes."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
