"""The gauges during a run, as the History tab draws them: mean and course of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

MAX_POINTS = 120

Json = dict[str, Any]
Read = Callable[[Json], Any]


def series(gauges: Sequence[Any]) -> list[Json]:
    """One for each gauge that was read; an imported run may tell anything, which is left out."""
    samples = [each for each in gauges if isinstance(each, dict) and seconds(each) > 0]
    if not samples:
        return []
    found = [
        course("CPU", "%", samples, lambda each: each.get("cpu_percent"), 100.0),
        course("Memory", "GB", samples, lambda each: over(each.get("memory_used_mb"), 1e3)),
    ]
    for kind, label in (("gpus", "GPU"), ("npus", "NPU")):
        for name in names(samples, kind):
            title = f"{label} {name}".strip()
            found.append(course(title, "%", samples, of(kind, name, "percent"), 100.0))
    for name in names(samples, "meters"):
        found.append(course(f"Power {name}", "W", samples, of("meters", name, "watts")))
    return [each for each in found if each]


def course(label: str, unit: str, samples: Sequence[Json], read: Read, top: float = 0.0) -> Json:
    """Its mean, each value by the time for which it stands, and points in per cent of width and
    height. top: of the chart; 0 for its greatest value. Empty when nothing is known."""
    known = [(each, value) for each in samples if is_number(value := read(each))]
    if not known:
        return {}
    begin, end = samples[0]["began_ns"], samples[-1]["ended_ns"]
    top = top or max(value for _, value in known) or 1.0
    spans = [(seconds(each), value) for each, value in known]
    mean = sum(span * value for span, value in spans) / sum(span for span, _ in spans)
    step = -(-len(known) // MAX_POINTS)
    points = [
        [
            round(100 * (each["ended_ns"] - begin) / (end - begin), 1),
            round(max(0, min(100 * value / top, 100)), 1),
        ]
        for each, value in known[::step]
    ]
    digits = 0 if unit == "%" else 1
    return {"label": label, "value": f"{mean:.{digits}f}", "unit": unit, "points": points}


def names(samples: Sequence[Json], kind: str) -> list[str]:
    return list(
        dict.fromkeys(str(one.get("name")) for each in samples for one in listed(each, kind))
    )


def of(kind: str, name: str, figure: str) -> Read:
    def read(sample: Json) -> Any:
        mine = (one.get(figure) for one in listed(sample, kind) if str(one.get("name")) == name)
        return next(mine, None)

    return read


def listed(sample: Json, kind: str) -> list[Json]:
    found = sample.get(kind)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def seconds(sample: Json) -> float:
    ends = sample.get("began_ns"), sample.get("ended_ns")
    return (ends[1] - ends[0]) / 1e9 if all(map(is_number, ends)) else 0.0  # type: ignore[operator]


def over(value: Any, unit: float) -> Any:
    return value / unit if is_number(value) else None


def is_number(value: Any) -> bool:
    return type(value) in (int, float)
