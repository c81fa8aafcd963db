"""The strip of gauges above the tabs, as plain values: pure functions from samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from playground.gauges.linux.drm import SOURCE
from playground.gauges.readings import Gauge, Meter, Sample
from playground.gauges.sampler import PERIOD_S
from playground.gauges.summary import NO_GPU, NO_METER, NO_NPU, total_watts

NA = "n/a"
WATTS_AT_LEAST = 10.0  # the top of the power sparkline: an idle machine's is no mountain range

Row = dict[str, Any]
Read = Callable[[Sample], float | None]


def strip(samples: Sequence[Sample], busy: bool, hint: str) -> Row:
    """All gauges with their last two minutes. hint: what lowers the figures, such as a battery.

    Samples between two seconds, as runs ask for them, are too short to be shown.
    """
    shown = [each for each in samples if each.seconds > PERIOD_S / 2]
    latest = shown[-1] if shown else Sample()
    gauges = [
        gauge("CPU", shown, lambda each: each.cpu_percent, "the whole machine"),
        gauge("Memory", shown, memory_percent, memory_text(latest)),
        *devices("GPU", shown, lambda each: each.gpus, NO_GPU),
        *devices("NPU", shown, lambda each: each.npus, NO_NPU),
        power(shown),
    ]
    return {"gauges": gauges, "busy": busy, "hint": hint}


def gauge(label: str, samples: Sequence[Sample], read: Read, detail: str, reason: str = "") -> Row:
    """One in percent; where it is unknown, `reason` takes the place of `detail`."""
    value = read(samples[-1]) if samples else None
    known = value is not None
    return {
        "label": label,
        "value": NA if value is None else f"{value:.0f}",
        "unit": "%" if known else "",
        "detail": detail if known else reason or "measuring",
        "points": points(samples, read, 100),
    }


def devices(
    label: str, samples: Sequence[Sample], of: Callable[[Sample], Sequence[Gauge]], none: str
) -> Iterable[Row]:
    """One for each device of a kind, numbered where there are several; or one that says: none."""
    latest = of(samples[-1]) if samples else ()
    if not latest:
        yield gauge(label, (), lambda each: None, "", none if samples else "")
    for place, one in enumerate(latest):

        def read(sample: Sample, place: int = place) -> float | None:
            return of(sample)[place].percent if place < len(of(sample)) else None

        name = label if len(latest) == 1 else f"{label} {place}"
        about = f"{one.name}, {one.source}" if one.proxy or one.source == SOURCE else one.name
        yield gauge(name, samples, read, about, f"{one.name}: {one.reason}")


def power(samples: Sequence[Sample]) -> Row:
    """In watts: the meters that can be read, and which they are."""
    latest = samples[-1].meters if samples else ()
    value = total_watts(latest)
    history = [
        each for each in (total_watts(sample.meters) for sample in samples) if each is not None
    ]
    top = max([WATTS_AT_LEAST, *history])
    return {
        "label": "Power",
        "value": NA if value is None else f"{value:.1f}" if value < 10 else f"{value:.0f}",
        "unit": "" if value is None else "W",
        "detail": power_text(latest) if samples else "measuring",
        "points": points(samples, lambda each: total_watts(each.meters), top),
    }


def power_text(meters: Sequence[Meter]) -> str:
    """The names of those that can be read, or why none can."""
    readable = [each.name for each in meters if each.watts is not None]
    reasons = dict.fromkeys(each.reason for each in meters if each.reason)
    return ", ".join(readable) or " ".join(reasons) or NO_METER


def memory_percent(sample: Sample) -> float | None:
    used, total = sample.memory_used_mb, sample.memory_total_mb
    return None if used is None or not total else 100 * used / total


def memory_text(sample: Sample) -> str:
    """ "3.4 of 25.3 GB"."""
    used, total = sample.memory_used_mb, sample.memory_total_mb
    return "" if used is None or total is None else f"{used / 1e3:.1f} of {total / 1e3:.1f} GB"


def points(samples: Sequence[Sample], read: Read, top: float) -> list[list[int]]:
    """The sparkline: how many seconds ago, and per cent of the top."""
    if not samples:
        return []
    now = samples[-1].ended_ns
    known = [(each.ended_ns, read(each)) for each in samples]
    return [
        [round((now - ended) / 1e9), round(min(100 * value / top, 100))]
        for ended, value in known
        if value is not None
    ]
