"""The gauges during a run, as the History tab draws them: average and curve of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from playground.page.components import Json

MAX_POINTS = 120

Read = Callable[[Json], object]


def curves(samples: Sequence[object]) -> list[Json]:
    """One for each gauge with values; malformed samples of an imported run are left out."""
    valid = [sample for sample in samples if isinstance(sample, dict) and seconds(sample) > 0]
    if not valid:
        return []
    drawn = [
        curve("CPU", "%", valid, lambda sample: sample.get("cpu_percent"), 100.0),
        curve("Memory", "GB", valid, memory_gb),
    ]
    for kind, label in (("gpus", "GPU"), ("npus", "NPU")):
        for name in names(valid, kind):
            title = f"{label} {name}".strip()
            drawn.append(curve(title, "%", valid, reader(kind, name, "percent"), 100.0))
    for name in names(valid, "meters"):
        drawn.append(curve(f"Power {name}", "W", valid, reader("meters", name, "watts")))
    return list(filter(None, drawn))


def curve(
    label: str, unit: str, samples: Sequence[Json], read: Read, top: float = 0.0
) -> Json | None:
    """Its average weighted by time, and its points in per cent of the width and height.

    None without a value. top: the value at the top of the chart; 0 for the highest one.
    """
    values = [
        (sample, value) for sample in samples if (value := as_number(read(sample))) is not None
    ]
    if not values:
        return None
    begin, end = samples[0]["began_ns"], samples[-1]["ended_ns"]
    top = top or max(value for _, value in values) or 1.0
    weighted = sum(seconds(sample) * value for sample, value in values)
    average = weighted / sum(seconds(sample) for sample, _ in values)
    step = -(-len(values) // MAX_POINTS)
    points = [
        [
            round(100 * (sample["ended_ns"] - begin) / (end - begin), 1),
            round(max(0, min(100 * value / top, 100)), 1),
        ]
        for sample, value in values[::step]
    ]
    digits = 0 if unit == "%" else 1
    return {"label": label, "value": f"{average:.{digits}f}", "unit": unit, "points": points}


def names(samples: Sequence[Json], kind: str) -> list[str]:
    """The names of the gauges of a kind, without duplicates."""
    gauges = (gauge for sample in samples for gauge in gauges_of(sample, kind))
    return list(dict.fromkeys(str(gauge.get("name")) for gauge in gauges))


def reader(kind: str, name: str, figure: str) -> Read:
    """Reads a figure of the gauge of that kind and name."""

    def read(sample: Json) -> object:
        gauges = gauges_of(sample, kind)
        return next((gauge.get(figure) for gauge in gauges if str(gauge.get("name")) == name), None)

    return read


def gauges_of(sample: Json, kind: str) -> list[Json]:
    """The gauges of a kind in one sample."""
    gauges = sample.get(kind)
    return (
        [gauge for gauge in gauges if isinstance(gauge, dict)] if isinstance(gauges, list) else []
    )


def memory_gb(sample: Json) -> float | None:
    """Memory in use."""
    used_mb = as_number(sample.get("memory_used_mb"))
    return None if used_mb is None else used_mb / 1e3


def seconds(sample: Json) -> float:
    """The length of a sample; 0 if it is not known."""
    begin, end = as_number(sample.get("began_ns")), as_number(sample.get("ended_ns"))
    return 0.0 if begin is None or end is None else (end - begin) / 1e9


def as_number(value: object) -> float | None:
    """None for anything but an integer or a float."""
    return value if type(value) in (int, float) else None  # type: ignore[return-value]
