"""Samples → figures for a span of time. Pure functions; a figure that cannot be known is None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import psutil

from playground.gauges.readings import PACKAGE, Gauge, Meter
from playground.gauges.sample import Sample

MOSTLY = 0.8  # of a sample's time that must lie in a span to count for it
COVERED = 0.8  # of a span that samples must cover to tell anything of it
IDLE_PERCENT = 5.0  # a device that is less busy than this did not do a lane's work
SHORTEST_FOR_ENERGY_S = 1.0  # meters move in steps


@dataclass(frozen=True)
class Proof:
    """How busy a lane's device was while it answered, and that in words."""

    percent: float | None = None
    text: str = ""


def mean(
    samples: Iterable[Sample], begin: int, end: int, value: Callable[[Sample], float | None]
) -> float | None:
    """Of a value over begin..end (ns), from the samples that lie in it."""
    inside = [
        (each.ended_ns - each.began_ns, value(each))
        for each in samples
        if min(end, each.ended_ns) - max(begin, each.began_ns)
        >= MOSTLY * (each.ended_ns - each.began_ns)
    ]
    known = [(span, found) for span, found in inside if found is not None]
    covered = sum(span for span, _ in known)
    if covered <= 0 or covered < COVERED * (end - begin):
        return None
    return sum(span * found for span, found in known) / covered


def energy_j(
    samples: Sequence[Sample], begin: int, end: int, key: str = "", *, card: bool = False
) -> float | None:
    """What the meters counted in begin..end. card: whether the lane runs on a GPU that is no part
    of the package; key: of that."""
    seconds = (end - begin) / 1e9
    if seconds < SHORTEST_FOR_ENERGY_S:
        return None
    watts = mean(samples, begin, end, lambda each: drawn(each.meters, key, card=card))
    return None if watts is None else watts * seconds


def drawn(meters: Sequence[Meter], key: str = "", *, card: bool = False) -> float | None:
    """Watts of the package and of all cards with a meter of their own; for a lane on a card, whose
    own meter must be among them, also of that alone where the package cannot be read."""
    known = {each: each.watts for each in meters if each.watts is not None}
    package = [each for each in meters if each.covers == PACKAGE]
    cards = [each for each in meters if each.covers != PACKAGE]
    own = [each for each in cards if key and each.covers == key] or cards
    if card and (len(own) != 1 or own[0] not in known):
        return None
    if package and all(each in known for each in package):
        return sum(known.values())
    return known[own[0]] if card else None


def proof(
    samples: Sequence[Sample], begin: int, end: int, lane: str, device: str, key: str = ""
) -> Proof:
    """How busy the lane's device was between its first and last token.

    device: CPU, NPU, or a GPU's name ("GPU.0", "DML"); key: of its gauge, "" where not known.
    """
    worker = mean(samples, begin, end, lambda each: worker_percent(each, lane))
    if device == "CPU":
        return Proof(worker, "" if worker is None else f"used {worker:.0f} % of the CPU")
    if device == "NPU":
        percent = mean(samples, begin, end, lambda each: busiest(each.npus))
        return verdict(device, percent, "during", worker)
    own = mean(samples, begin, end, lambda each: gpu_percent(each.gpus, lane, key))
    if own is not None:
        return verdict(device, own, "with", worker)
    whole = mean(samples, begin, end, lambda each: whole_gpu(each.gpus, key))
    return verdict(device, whole, "during", worker)


def verdict(device: str, percent: float | None, how: str, worker: float | None) -> Proof:
    """In words; the CPU did the work where the device stayed idle while the worker was busy."""
    if percent is None:
        return Proof(None, f"{device} load not known")
    cores = None if worker is None else worker * (psutil.cpu_count() or 1) / 100
    if percent < IDLE_PERCENT and cores is not None and cores > 0.5:
        return Proof(percent, f"{device} idle ({percent:.0f} %): the CPU did the work")
    return Proof(percent, f"{device} {percent:.0f} % busy {how} this answer")


def worker_percent(sample: Sample, lane: str) -> float | None:
    load = sample.workers.get(lane)
    return load.cpu_percent if load else None


def busiest(gauges: Sequence[Gauge]) -> float | None:
    known = [each.percent for each in gauges if each.percent is not None]
    return max(known, default=None)


def gpu_percent(gauges: Sequence[Gauge], lane: str, key: str) -> float | None:
    """The lane's own part of its GPU."""
    own = [each.per_lane[lane] for each in of_key(gauges, key) if lane in each.per_lane]
    return max(own, default=None)


def whole_gpu(gauges: Sequence[Gauge], key: str) -> float | None:
    """The load of its GPU, whoever causes it, where it is clear which one that is."""
    mine = [each for each in of_key(gauges, key) if not each.proxy]
    return mine[0].percent if len(mine) == 1 else None


def of_key(gauges: Sequence[Gauge], key: str) -> list[Gauge]:
    """The one with that key, or all where none has it."""
    return [each for each in gauges if key and each.key == key] or list(gauges)
