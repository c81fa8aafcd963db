"""The machine in a benchmark's result: what is needed to repeat the figures, and nothing private.

An unknown value is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil

from playground import devices, doctor
from playground.doctor import packages
from playground.gauges.linux.pci import read_optional_int
from playground.lanes.lane import Lane
from playground.paths import ROOT
from playground.runs.benchmark_record import BenchmarkMachine, Conditions, MemoryCopy

CPUS = Path("sys/devices/system/cpu")
T = TypeVar("T")


def describe(lanes: Iterable[Lane], copy: MemoryCopy | None) -> BenchmarkMachine:
    """System, processor, memory, devices with drivers, packages, and the conditions now.

    The engines are asked for their devices only if one of the lanes has an engine.
    """
    discovery = (
        devices.discover() if any(lane.needs_model for lane in lanes) else devices.Discovery()
    )
    rows = doctor.device_rows(discovery)
    return BenchmarkMachine(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **doctor.machine.machine(),
        program={**doctor.machine.program(ROOT)},
        hardware=[asdict(device) for device in devices.hardware()],
        devices=[asdict(row) for row in rows if row.name is not None],
        packages=[{**row} for row in packages.versions(ROOT) if row[".venv"] or row[".venv-npu"]],
        memory_copy=copy,
        before=conditions(),
    )


def conditions(root: Path = Path("/")) -> Conditions:
    """What slows a processor down, at this moment.

    throttle_events: how often the cores have slowed down from heat since the system started
    (Linux, from Intel's thermal_throttle).
    """
    paths = (root / CPUS).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for path in paths if (count := read_optional_int(path)) is not None]
    frequency = value_or_none(psutil.cpu_freq)
    return Conditions(
        temperature_c=temperature(),
        throttle_events=sum(counts) if counts else None,
        governor=read_text(root / CPUS / "cpu0/cpufreq/scaling_governor"),
        cpu_mhz=round(frequency.current) if frequency and frequency.current else None,
    )


def temperature() -> float | None:
    """Of the machine's hottest sensor, in degrees Celsius; known only on Linux."""
    read = getattr(psutil, "sensors_temperatures", None)
    sensors = (value_or_none(read) if read else None) or {}
    values = [sensor.current for group in sensors.values() for sensor in group if sensor.current]
    return max(values, default=None)


def value_or_none(read: Callable[[], T]) -> T | None:
    """Where a system's files are unusual, psutil raises errors of any kind."""
    try:
        return read()
    except Exception:
        return None


def read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
