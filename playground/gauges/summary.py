"""What `gauges --json` prints: the means of some seconds, and for what is unknown the reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from playground.errors import PlaygroundError
from playground.gauges.aggregate import worker_percent
from playground.gauges.readings import Gauge, Meter
from playground.gauges.sample import Sample
from playground.gauges.sampler import Sampler

NO_GPU, NO_NPU = "This machine has no GPU.", "This machine has no NPU."
NO_METER = "This machine tells no power."
UNREAD = "It could not be read."
START_S = 20  # for the libraries of drivers to start

Row = dict[str, Any]
Read = Callable[[Sample], float | None]


def measure(seconds: float) -> Row:
    """The summary of so many seconds from when a first reading is there."""
    with closing(Sampler(dict)) as sampler:
        patience = time.monotonic() + START_S
        while not sampler.samples:
            if time.monotonic() > patience:
                raise PlaygroundError("The gauges do not answer.", "Details are in the log.")
            time.sleep(0.05)
            sampler.mark()
        with sampler.recording() as samples:
            time.sleep(seconds)
            sampler.mark()
        return summary(samples)


def rows(found: Row) -> Iterator[Row]:
    """A summary as a table: gauge, reading, name, source, and why it is unknown."""
    memory = found["memory"]
    used, total = (memory[key] and f"{memory[key] / 1e3:.1f}" for key in ("used_mb", "total_mb"))
    yield row("CPU", found["cpu"], "%", "the whole machine")
    yield row("Memory", memory, "%", f"{used} of {total} GB" if used and total else "")
    for gpu in found["gpu"]:
        yield row("GPU", gpu, "%")
    yield row("NPU", found["npu"], "%")
    yield row("Power", {"percent": found["power"]["watts"], **found["power"]}, "W")


def row(gauge: str, one: Row, unit: str, name: str = "") -> Row:
    value = one["percent"]
    return {
        "gauge": gauge,
        "reading": None if value is None else f"{value:.{0 if unit == '%' else 1}f} {unit}",
        "name": one.get("name") or name,
        "source": one.get("source") or "",
        "note": one.get("reason", ""),
    }


def summary(samples: Sequence[Sample]) -> Row:
    """{cpu, memory, gpu: [...], npu, power}; design.md tells the fields."""
    used = average(samples, lambda each: each.memory_used_mb)
    total = average(samples, lambda each: each.memory_total_mb)
    lanes = sorted({lane for each in samples for lane in each.workers})
    return {
        "cpu": {
            **figure("percent", average(samples, lambda each: each.cpu_percent)),
            "per_worker": {
                lane: average(samples, lambda each, lane=lane: worker_percent(each, lane))  # type: ignore[misc]
                for lane in lanes
            },
        },
        "memory": {
            "used_mb": used,
            "total_mb": total,
            **figure("percent", used and total and 100 * used / total),
        },
        "gpu": devices(samples, lambda each: each.gpus, NO_GPU),
        "npu": devices(samples, lambda each: each.npus, NO_NPU)[0],
        "power": power(samples),
    }


def devices(
    samples: Sequence[Sample], of: Callable[[Sample], Sequence[Gauge]], none: str
) -> list[Row]:
    """One row for each device, or one that says that there is none."""
    last = of(samples[-1]) if samples else ()
    return [device(samples, of, place) for place in range(len(last))] or [
        {"percent": None, "reason": none if samples else UNREAD}
    ]


def device(samples: Sequence[Sample], of: Callable[[Sample], Sequence[Gauge]], place: int) -> Row:
    """The means of one; what it is, as it was last."""
    there = [each for each in samples if place < len(of(each))]
    last = of(there[-1])[place]
    lanes = sorted({lane for each in there for lane in of(each)[place].per_lane})
    return {
        "name": last.name,
        **figure("percent", average(there, lambda each: of(each)[place].percent), last.reason),
        "source": last.source or None,
        "proxy": last.proxy,
        "per_lane": {
            lane: average(there, lambda each, lane=lane: of(each)[place].per_lane.get(lane))  # type: ignore[misc]
            for lane in lanes
        },
        "memory_mb": last.memory_mb,
        "mhz": last.mhz,
    }


def power(samples: Sequence[Sample]) -> Row:
    """All meters that can be read, together."""
    last = samples[-1].meters if samples else ()
    sources = [each.source for each in last if each.watts is not None]
    reasons = dict.fromkeys(each.reason for each in last if each.reason)
    return {
        **figure(
            "watts",
            average(samples, lambda each: watts(each.meters)),
            " ".join(reasons) or NO_METER,
        ),
        "source": " + ".join(sources) or None,
        "meters": [
            {"name": each.name, "watts": each.watts, "covers": each.covers, "reason": each.reason}
            for each in last
        ],
    }


def watts(meters: Sequence[Meter]) -> float | None:
    """What the meters that can be read say together."""
    found = [each.watts for each in meters if each.watts is not None]
    return sum(found) if found else None


def average(samples: Sequence[Sample], read: Read) -> float | None:
    """Of what is known, each by the time for which it stands."""
    known = [(each.seconds, found) for each in samples if (found := read(each)) is not None]
    seconds = sum(span for span, _ in known)
    return sum(span * found for span, found in known) / seconds if seconds else None


def figure(name: str, value: float | None, reason: str = "") -> Row:
    """By its name, and where it is unknown also why."""
    return {name: value} if value is not None else {name: None, "reason": reason or UNREAD}
