"""What `gauges --json` prints: averages over some seconds, and reasons for unknown figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import NotRequired, TypedDict

from playground.errors import PlaygroundError
from playground.gauges.aggregate import worker_percent
from playground.gauges.readings import Gauge, Meter, Sample
from playground.gauges.sampler import Sampler

NO_GPU, NO_NPU = "This machine has no GPU.", "This machine has no NPU."
NO_METER = "This machine has no power meter."
UNREAD = "It could not be read."
START_TIMEOUT_S = 20  # driver libraries take some time to load


class Percent(TypedDict):
    """0..100, or None and the reason."""

    percent: float | None
    reason: NotRequired[str]


class CpuSummary(Percent):
    """The load of all cores, and each worker's share of it by lane."""

    per_worker: dict[str, float | None]


class MemorySummary(Percent):
    """The machine's memory in MB (10⁶ bytes)."""

    used_mb: float | None
    total_mb: float | None


class DeviceSummary(Percent):
    """One GPU or NPU; `percent` and `reason` alone where there is none."""

    name: NotRequired[str]
    source: NotRequired[str | None]
    proxy: NotRequired[bool]
    per_lane: NotRequired[dict[str, float | None]]
    memory_mb: NotRequired[float | None]
    mhz: NotRequired[float | None]


class PowerSummary(TypedDict):
    """All readable meters together, or None and the reason; and each meter as read last."""

    watts: float | None
    reason: NotRequired[str]
    source: str | None
    meters: list[dict[str, object]]


class GaugesSummary(TypedDict):
    """The JSON object of `gauges --json`; docs/design.md describes its fields."""

    cpu: CpuSummary
    memory: MemorySummary
    gpu: list[DeviceSummary]
    npu: DeviceSummary
    power: PowerSummary


class TableRow(TypedDict):
    """One gauge in a table. note: why its reading is unknown."""

    gauge: str
    reading: str | None
    name: str
    source: str
    note: str


Gauges = Callable[[Sample], Sequence[Gauge]]


def measure(seconds: float) -> GaugesSummary:
    """The summary of the next `seconds`, which begin with the first reading."""
    with closing(Sampler(dict)) as sampler:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not sampler.samples:
            if time.monotonic() > deadline:
                raise PlaygroundError("The gauges do not respond.", "See the log for details.")
            time.sleep(0.05)
            sampler.sample_now()
        with sampler.recording() as samples:
            time.sleep(seconds)
            sampler.sample_now()
        return summary(samples)


def rows(summary: GaugesSummary) -> Iterator[TableRow]:
    """A summary as a table."""
    memory = summary["memory"]
    used_mb, total_mb = memory["used_mb"], memory["total_mb"]
    size = f"{used_mb / 1e3:.1f} of {total_mb / 1e3:.1f} GB" if used_mb and total_mb else ""
    yield _row("CPU", summary["cpu"], "the whole machine")
    yield _row("Memory", memory, size)
    for gpu in summary["gpu"]:
        yield _row("GPU", gpu, gpu.get("name", ""), gpu.get("source"))
    npu = summary["npu"]
    yield _row("NPU", npu, npu.get("name", ""), npu.get("source"))
    power = summary["power"]
    yield {
        "gauge": "Power",
        "reading": None if power["watts"] is None else f"{power['watts']:.1f} W",
        "name": "",
        "source": power["source"] or "",
        "note": power.get("reason", ""),
    }


def _row(gauge: str, load: Percent, name: str, source: str | None = None) -> TableRow:
    percent = load["percent"]
    return {
        "gauge": gauge,
        "reading": None if percent is None else f"{percent:.0f} %",
        "name": name,
        "source": source or "",
        "note": load.get("reason", ""),
    }


def summary(samples: Sequence[Sample]) -> GaugesSummary:
    used_mb = _average((sample.seconds, sample.memory_used_mb) for sample in samples)
    total_mb = _average((sample.seconds, sample.memory_total_mb) for sample in samples)
    lanes = sorted({lane for sample in samples for lane in sample.workers})
    return {
        "cpu": {
            **_percent(_average((sample.seconds, sample.cpu_percent) for sample in samples)),
            "per_worker": {
                lane: _average((sample.seconds, worker_percent(sample, lane)) for sample in samples)
                for lane in lanes
            },
        },
        "memory": {
            "used_mb": used_mb,
            "total_mb": total_mb,
            **_percent(100 * used_mb / total_mb if used_mb is not None and total_mb else None),
        },
        "gpu": _devices(samples, lambda sample: sample.gpus, NO_GPU),
        "npu": _devices(samples, lambda sample: sample.npus, NO_NPU)[0],
        "power": _power(samples),
    }


def _devices(samples: Sequence[Sample], gauges: Gauges, absent: str) -> list[DeviceSummary]:
    """One summary for each device; without any, one that gives the reason."""
    last = gauges(samples[-1]) if samples else ()
    return [_device(samples, gauges, index) for index in range(len(last))] or [
        {"percent": None, "reason": absent if samples else UNREAD}
    ]


def _device(samples: Sequence[Sample], gauges: Gauges, index: int) -> DeviceSummary:
    """Averages of its loads; everything else as read last."""
    present = [sample for sample in samples if index < len(gauges(sample))]
    readings = [(sample.seconds, gauges(sample)[index]) for sample in present]
    _, last = readings[-1]
    lanes = sorted({lane for _, gauge in readings for lane in gauge.per_lane})
    return {
        "name": last.name,
        **_percent(_average((span, gauge.percent) for span, gauge in readings), last.reason),
        "source": last.source or None,
        "proxy": last.proxy,
        "per_lane": {
            lane: _average((span, gauge.per_lane.get(lane)) for span, gauge in readings)
            for lane in lanes
        },
        "memory_mb": last.memory_mb,
        "mhz": last.mhz,
    }


def _power(samples: Sequence[Sample]) -> PowerSummary:
    last = samples[-1].meters if samples else ()
    sources = [meter.source for meter in last if meter.watts is not None]
    reasons = dict.fromkeys(meter.reason for meter in last if meter.reason)
    power: PowerSummary = {
        "watts": _average((sample.seconds, total_watts(sample.meters)) for sample in samples),
        "source": " + ".join(sources) or None,
        "meters": [
            {
                "name": meter.name,
                "watts": meter.watts,
                "covers": meter.covers,
                "reason": meter.reason,
            }
            for meter in last
        ],
    }
    if power["watts"] is None:
        power["reason"] = " ".join(reasons) or NO_METER
    return power


def total_watts(meters: Sequence[Meter]) -> float | None:
    """The sum of all meters that can be read."""
    watts = [meter.watts for meter in meters if meter.watts is not None]
    return sum(watts) if watts else None


def _average(figures: Iterable[tuple[float, float | None]]) -> float | None:
    """The average of the known figures, weighted by their time in seconds."""
    known = [(span, figure) for span, figure in figures if figure is not None]
    seconds = sum(span for span, _ in known)
    return sum(span * figure for span, figure in known) / seconds if seconds else None


def _percent(percent: float | None, reason: str = "") -> Percent:
    if percent is None:
        return {"percent": None, "reason": reason or UNREAD}
    return {"percent": percent}
