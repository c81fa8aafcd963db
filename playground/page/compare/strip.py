"""The strip of gauges above the tabs, as plain values: pure functions from samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from playground.formatting import NA
from playground.gauges.linux.drm import SOURCE
from playground.gauges.readings import MEASURING, Gauge, Meter, Sample
from playground.gauges.sampler import PERIOD_S
from playground.gauges.summary import NO_GPU, NO_METER, NO_NPU, total_watts
from playground.page.components import Json

MIN_TOP_W = 10.0  # of the power curve: a few watts should not fill the height

Read = Callable[[Sample], float | None]


def strip(samples: Sequence[Sample], busy: bool, hint: str) -> Json:
    """All gauges with their last two minutes. hint: what lowers the figures, such as a battery.

    Extra samples between two seconds, which runs take, are too short to be shown.
    """
    regular = [sample for sample in samples if sample.seconds > PERIOD_S / 2]
    latest = regular[-1] if regular else Sample()
    gauges = [
        gauge("CPU", regular, lambda sample: sample.cpu_percent, "the whole machine"),
        gauge("Memory", regular, memory_percent, memory_text(latest)),
        *devices("GPU", regular, lambda sample: sample.gpus, NO_GPU),
        *devices("NPU", regular, lambda sample: sample.npus, NO_NPU),
        power(regular),
    ]
    return {"gauges": gauges, "busy": busy, "hint": hint}


def gauge(label: str, samples: Sequence[Sample], read: Read, detail: str, reason: str = "") -> Json:
    """A gauge in per cent; without a value, `reason` takes the place of `detail`."""
    value = read(samples[-1]) if samples else None
    is_known = value is not None
    return {
        "label": label,
        "value": NA if value is None else f"{value:.0f}",
        "unit": "%" if is_known else "",
        "detail": detail if is_known else reason or MEASURING,
        "points": points(samples, read, 100),
    }


def devices(
    label: str,
    samples: Sequence[Sample],
    gauges_of: Callable[[Sample], Sequence[Gauge]],
    none: str,
) -> Iterable[Json]:
    """A gauge for each device of a kind, numbered if there are several; or one that says: none."""
    latest = gauges_of(samples[-1]) if samples else ()
    if not latest:
        yield gauge(label, (), lambda sample: None, "", none if samples else "")
    for position, one in enumerate(latest):

        def read(sample: Sample, position: int = position) -> float | None:
            gauges = gauges_of(sample)
            return gauges[position].percent if position < len(gauges) else None

        name = label if len(latest) == 1 else f"{label} {position}"
        about = f"{one.name}, {one.source}" if one.proxy or one.source == SOURCE else one.name
        yield gauge(name, samples, read, about, f"{one.name}: {one.reason}")


def power(samples: Sequence[Sample]) -> Json:
    """The sum of the meters that can be read, in watts, and their names."""
    latest = samples[-1].meters if samples else ()
    value = total_watts(latest)
    history = (total_watts(sample.meters) for sample in samples)
    top = max([MIN_TOP_W, *(value for value in history if value is not None)])
    return {
        "label": "Power",
        "value": NA if value is None else f"{value:.1f}" if value < 10 else f"{value:.0f}",
        "unit": "" if value is None else "W",
        "detail": power_text(latest) if samples else MEASURING,
        "points": points(samples, lambda sample: total_watts(sample.meters), top),
    }


def power_text(meters: Sequence[Meter]) -> str:
    """The names of the meters that can be read, or why there are none."""
    readable = [meter.name for meter in meters if meter.watts is not None]
    reasons = dict.fromkeys(meter.reason for meter in meters if meter.reason)
    return ", ".join(readable) or " ".join(reasons) or NO_METER


def memory_percent(sample: Sample) -> float | None:
    """Memory in use."""
    used, total = sample.memory_used_mb, sample.memory_total_mb
    return None if used is None or not total else 100 * used / total


def memory_text(sample: Sample) -> str:
    """ "3.4 of 25.3 GB"."""
    used, total = sample.memory_used_mb, sample.memory_total_mb
    return "" if used is None or total is None else f"{used / 1e3:.1f} of {total / 1e3:.1f} GB"


def points(samples: Sequence[Sample], read: Read, top: float) -> list[list[int]]:
    """The curve: seconds ago, and per cent of the top."""
    if not samples:
        return []
    now = samples[-1].ended_ns
    values = [(sample.ended_ns, read(sample)) for sample in samples]
    return [
        [round((now - ended) / 1e9), round(min(100 * value / top, 100))]
        for ended, value in values
        if value is not None
    ]
