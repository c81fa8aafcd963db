"""The machine in a benchmark's result, as far as someone needs it to repeat the figures. Nothing in
it names its user; unknown is None."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from playground import devices, doctor
from playground.doctor import machine as of_report
from playground.doctor import packages
from playground.doctor.scrub import of_this_machine
from playground.lanes.lane import Lane
from playground.paths import home
from playground.runs.benchmark_record import BenchmarkMachine, Conditions, MemoryCopy

CPUS = Path("sys/devices/system/cpu")


def describe(lanes: Iterable[Lane], copy: MemoryCopy | None) -> BenchmarkMachine:
    """System, processor, memory, devices with drivers, packages, and the conditions now.

    The engines are asked for their devices only where a lane has an engine.
    """
    found = devices.discover() if any(lane.needs_model for lane in lanes) else devices.Discovery()
    rows = doctor.device_rows(found)
    versions = packages.versions(doctor.ROOT)
    report = {
        **of_report.machine(),
        "program": of_report.program(doctor.ROOT),
        "hardware": [asdict(each) for each in devices.hardware()],
        "devices": [row for row in rows if row["name"] is not None],
        "packages": [row for row in versions if row[".venv"] or row[".venv-npu"]],
    }
    return BenchmarkMachine(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **of_this_machine(home(), doctor.ROOT).scrub(report),
        memory_copy=copy,
        before=conditions(),
    )


def conditions(root: Path = Path("/")) -> Conditions:
    """What slows a processor down, now. throttle_events: how often its cores have slowed down from
    heat since the start of the system (Linux: Intel's thermal_throttle)."""
    counts = [
        _number(path)
        for path in (root / CPUS).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    known = [count for count in counts if count is not None]
    frequency = _or_none(psutil.cpu_freq)
    return Conditions(
        temperature_c=temperature(),
        throttle_events=sum(known) if known else None,
        governor=_text(root / CPUS / "cpu0/cpufreq/scaling_governor"),
        cpu_mhz=round(frequency.current) if frequency and frequency.current else None,
    )


def temperature() -> float | None:
    """The hottest sensor of the machine; only Linux tells."""
    sensors = _or_none(getattr(psutil, "sensors_temperatures", None)) or {}
    known = [each.current for group in sensors.values() for each in group if each.current]
    return max(known, default=None)


def _or_none(ask: Any) -> Any:
    """psutil raises whatever a system's odd files make it raise."""
    try:
        return ask()
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
