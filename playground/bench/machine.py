"""The machine in a benchmark's result, as far as someone needs it to repeat the figures. Nothing in
it identifies its user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil

from playground import devices, doctor
from playground.doctor import machine as of_report
from playground.doctor import packages
from playground.doctor.scrub import of_this_machine
from playground.lanes.lane import Lane
from playground.paths import ROOT, home
from playground.runs.benchmark_record import BenchmarkMachine, Conditions, MemoryCopy

CPUS = Path("sys/devices/system/cpu")
T = TypeVar("T")


def describe(lanes: Iterable[Lane], copy: MemoryCopy | None) -> BenchmarkMachine:
    """System, processor, memory, devices with drivers, packages, and the conditions now.

    The engines are asked for their devices only where a lane has an engine.
    """
    found = devices.discover() if any(lane.needs_model for lane in lanes) else devices.Discovery()
    rows = doctor.device_rows(found)
    versions = packages.versions(ROOT)
    report = {
        **of_report.machine(),
        "program": of_report.program(ROOT),
        "hardware": [asdict(each) for each in devices.hardware()],
        "devices": [row for row in rows if row["name"] is not None],
        "packages": [row for row in versions if row[".venv"] or row[".venv-npu"]],
    }
    return BenchmarkMachine(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **of_this_machine(home(), ROOT).scrub(report),
        memory_copy=copy,
        before=conditions(),
    )


def conditions(root: Path = Path("/")) -> Conditions:
    """What slows the processor down now. throttle_events: how often heat has slowed its cores down
    since the system started (Linux: Intel's thermal_throttle)."""
    counts = [
        _number(path)
        for path in (root / CPUS).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    throttled = [count for count in counts if count is not None]
    frequency = _or_none(psutil.cpu_freq)
    return Conditions(
        temperature_c=temperature(),
        throttle_events=sum(throttled) if throttled else None,
        governor=_text(root / CPUS / "cpu0/cpufreq/scaling_governor"),
        cpu_mhz=round(frequency.current) if frequency and frequency.current else None,
    )


def temperature() -> float | None:
    """The hottest sensor of the machine, °C; None outside Linux."""
    sensors = _or_none(getattr(psutil, "sensors_temperatures", dict)) or {}
    values = [sensor.current for group in sensors.values() for sensor in group if sensor.current]
    return max(values, default=None)


def _or_none(read: Callable[[], T]) -> T | None:
    """What a function of psutil returns; it may raise anything that a driver's files lead to."""
    try:
        return read()
    except Exception:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.isdigit() else None
