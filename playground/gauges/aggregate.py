"""Figures for a span of time, computed from samples by pure functions; None: unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psutil

from playground.gauges.readings import PACKAGE, Gauge, Meter, Sample

MIN_OVERLAP = 0.8  # of a sample's time that must lie within a span for the sample to count
MIN_COVERAGE = 0.8  # of a span that samples must cover for the span to have a figure
IDLE_PERCENT = 5.0  # a device that is less busy than this did not do a lane's work
MIN_ENERGY_S = 1.0  # meters move in steps, so a shorter span has no useful figure


@dataclass(frozen=True)
class Proof:
    """How busy a lane's device was while it answered, and the same in words."""

    percent: float | None = None
    text: str = ""


def mean(
    samples: Iterable[Sample], begin: int, end: int, value: Callable[[Sample], float | None]
) -> float | None:
    """The average of a value over begin..end (ns), weighted by time."""
    spans = [
        (sample.ended_ns - sample.began_ns, value(sample))
        for sample in samples
        if min(end, sample.ended_ns) - max(begin, sample.began_ns)
        >= MIN_OVERLAP * (sample.ended_ns - sample.began_ns)
    ]
    weighted = [(span, figure) for span, figure in spans if figure is not None]
    covered = sum(span for span, _ in weighted)
    if covered <= 0 or covered < MIN_COVERAGE * (end - begin):
        return None
    return sum(span * figure for span, figure in weighted) / covered


def energy_j(
    samples: Sequence[Sample], begin: int, end: int, key: str = "", *, card: bool = False
) -> float | None:
    """The energy that the meters counted in begin..end (ns); arguments as for `power_w`."""
    seconds = (end - begin) / 1e9
    if seconds < MIN_ENERGY_S:
        return None
    watts = mean(samples, begin, end, lambda sample: power_w(sample.meters, key, card=card))
    return None if watts is None else watts * seconds


def power_w(meters: Sequence[Meter], key: str = "", *, card: bool = False) -> float | None:
    """The power to count for a lane: of the package and of all graphics cards with a meter.

    card: whether the lane runs on a graphics card, which `key` names. That card's own meter must
    then be readable, and counts alone where the package's is not.
    """
    readable = {meter: meter.watts for meter in meters if meter.watts is not None}
    packages = [meter for meter in meters if meter.covers == PACKAGE]
    cards = [meter for meter in meters if meter.covers != PACKAGE]
    own = [meter for meter in cards if key and meter.covers == key] or cards
    if card and (len(own) != 1 or own[0] not in readable):
        return None
    if packages and all(meter in readable for meter in packages):
        return sum(readable.values())
    return readable[own[0]] if card else None


def proof(
    samples: Sequence[Sample], begin: int, end: int, lane: str, device: str, key: str = ""
) -> Proof:
    """How busy the lane's device was in begin..end (ns).

    device: CPU, NPU, or a GPU's name ("GPU.0", "DML"). key: of its gauge; "" if unknown.
    """
    worker = mean(samples, begin, end, lambda sample: worker_percent(sample, lane))
    if device == "CPU":
        return Proof(worker, "" if worker is None else f"used {worker:.0f} % of the CPU")
    if device == "NPU":
        npu = mean(samples, begin, end, lambda sample: busiest(sample.npus))
        return _verdict(device, npu, "during", worker)
    own = mean(samples, begin, end, lambda sample: gpu_percent(sample.gpus, lane, key))
    if own is not None:
        return _verdict(device, own, "with", worker)
    whole = mean(samples, begin, end, lambda sample: whole_gpu(sample.gpus, key))
    return _verdict(device, whole, "during", worker)


def _verdict(device: str, percent: float | None, preposition: str, worker: float | None) -> Proof:
    """An idle device beside a busy worker: the CPU did the work."""
    if percent is None:
        return Proof(None, f"{device} load not known")
    cores = None if worker is None else worker * (psutil.cpu_count() or 1) / 100
    if percent < IDLE_PERCENT and cores is not None and cores > 0.5:
        return Proof(percent, f"{device} idle ({percent:.0f} %): the CPU did the work")
    return Proof(percent, f"{device} {percent:.0f} % busy {preposition} this answer")


def worker_percent(sample: Sample, lane: str) -> float | None:
    load = sample.workers.get(lane)
    return load.cpu_percent if load else None


def busiest(gauges: Sequence[Gauge]) -> float | None:
    return max((gauge.percent for gauge in gauges if gauge.percent is not None), default=None)


def gpu_percent(gauges: Sequence[Gauge], lane: str, key: str) -> float | None:
    """The load that the lane itself causes on its GPU."""
    loads = [gauge.per_lane[lane] for gauge in _matching(gauges, key) if lane in gauge.per_lane]
    return max(loads, default=None)


def whole_gpu(gauges: Sequence[Gauge], key: str) -> float | None:
    """The load of the lane's GPU, whichever program causes it; None if several GPUs could be it."""
    candidates = [gauge for gauge in _matching(gauges, key) if not gauge.proxy]
    return candidates[0].percent if len(candidates) == 1 else None


def _matching(gauges: Sequence[Gauge], key: str) -> list[Gauge]:
    """The gauge with that key; all gauges if none has it."""
    return [gauge for gauge in gauges if key and gauge.key == key] or list(gauges)
