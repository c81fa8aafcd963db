"""A result as the charts see it: which lanes at which prompt lengths, and where it was measured.

What is not known, or is no number in a file from elsewhere, is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PureWindowsPath
from typing import Any
from unicodedata import east_asian_width

from playground.gauges.power_source import PowerSource
from playground.history.columns import energy_of_a_token
from playground.history.entry import BENCH, Entry, bare
from playground.models.hub.files import parse_id
from playground.runs.request import IN_TURN

Json = Mapping[str, Any]
MAX_NAME_LENGTH = 48  # characters of a lane
MOST = 1e18  # of any figure; a clock of ns is there after 31 years
Key = tuple[str, int | None]  # a lane and, of a bench, a prompt length


@dataclass(frozen=True)
class View:
    """result: what `bench --json` or `ask --json` prints."""

    result: dict[str, Any]

    @cached_property
    def entry(self) -> Entry:
        return bare(self.result)

    @property
    def is_bench(self) -> bool:
        return self.entry.kind == BENCH

    @cached_property
    def records(self) -> dict[Key, dict[str, Any]]:
        """By lane and prompt length; the prompt of a Compare run is one, however it is counted."""
        found: dict[Key, dict[str, Any]] = {}
        for record in self.entry.records:
            tokens = number(record.get("prompt_tokens")) if self.is_bench else None
            found.setdefault((record["lane"], int(tokens) if tokens else None), record)
        return found

    @property
    def lanes(self) -> list[str]:
        return list(dict.fromkeys(lane for lane, _ in self.records))

    @property
    def lengths(self) -> list[int | None]:
        return sorted({length for _, length in self.records}, key=lambda each: each or 0)

    @property
    def model(self) -> str | None:
        model = self.entry.model
        return None if model in (None, "none") else shortened(model_name(str(model)))

    def label(self, lane: str) -> str:
        """What a legend calls the lane: its name, and what went wrong with it if something did."""
        said = {each.get("status") for (name, _), each in self.records.items() if name == lane}
        wrong = [f" ({word})" for word in ("error", "unavailable") if word in said]
        return shortened(lane) + "".join(wrong[:1])

    def small_print(self, whiskers: bool) -> list[str]:
        """What someone needs to quote a picture: the machine, the settings, the engines."""
        found = [self.settings(whiskers), ", ".join(self.engines())]
        day = plain(mapping(self.result.get("machine")).get("measured_at") or "")[:10]
        source = power(mapping(self.result.get("machine")).get("power_source")).text
        return [f"Machine: {self.machine()}", "; ".join(filter(None, [*found, day])), source]

    def machine(self) -> str:
        """Processor, other devices that lanes used, system: no name of a user or a computer."""
        told = mapping(self.result.get("machine"))
        threads, memory = number(told.get("threads")), number(told.get("memory_gb"))
        cpu = [
            plain(told.get("cpu") or ""),
            f"{threads:.0f} logical cores" if threads else "",
            f"{memory:.0f} GB" if memory else "",
        ]
        names = [plain(record.get("device_name") or "") for record in self.records.values()]
        devices = [name for name in dict.fromkeys(names) if name != cpu[0]]
        parts = [", ".join(filter(None, cpu)), *devices, plain(told.get("os") or "")]
        return "; ".join(filter(None, parts)) or "n/a"

    def settings(self, whiskers: bool) -> str:
        said = self.entry.said
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
            f"{plain(record.get('backend'))} {plain(record['library_version']).partition('-')[0]}"
            for record in self.records.values()
            if record.get("library_version")
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


def bar(record: Json, figure: str, factor: float = 1.0) -> Bar | None:
    value = number(energy_of_a_token(record) if figure == "j_per_token" else record.get(figure))
    if value is None:
        return None
    low, high = (number(mapping(record.get(name)).get(figure)) for name in ("p5", "p95"))
    if low is None or high is None or not low <= value <= high:
        return Bar(value * factor)
    return Bar(value * factor, low * factor, high * factor)


def number(value: Any) -> float | None:
    known = type(value) in (int, float) and 0 <= value < MOST  # NaN is not
    return float(value) if known else None


def mapping(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def power(told: Any) -> PowerSource:
    said = mapping(told)
    profile = said.get("profile")
    charge = number(said.get("battery_percent"))
    return PowerSource(said.get("on_battery") is True, charge, plain(profile) if profile else None)


def model_name(model: str) -> str:
    """A preset's or a hub's name as it is; of a path, which may tell a user's name, the end."""
    name = plain(model)
    if "\\" not in name and ("/" not in name or parse_id(name)):
        return name
    return PureWindowsPath(name).name or "a folder"  # knows both kinds of slash


def plain(text: Any) -> str:
    """One line without control signs, which neither XML nor a reader takes."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def shortened(text: str, max_columns: int = MAX_NAME_LENGTH) -> str:
    """The text, or its start and end if it is longer; a Chinese character takes two columns."""
    text = plain(text)
    columns = sum(2 if east_asian_width(character) in "FW" else 1 for character in text)
    half = max_columns * len(text) // columns // 2 if columns > max_columns else None
    return text if half is None else f"{text[:half]}…{text[-half:]}"
