"""What the probes return: loads of devices and power, and the samples made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, Self, TypeVar

from playground.devices import Hardware

PACKAGE = "package"  # what the meter of a whole chip covers: cores, built-in GPU and NPU
MEASURING = "measuring"  # the reason while there is only one reading and nothing to compare it with


@dataclass(frozen=True)
class Moment:
    """When the probes are read, and the processes whose load is reported separately.

    ns: of `time.perf_counter_ns`. pids: by lane, its worker and the worker's children.
    """

    ns: int
    pids: Mapping[str, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gauge:
    """How busy one device was since the last reading.

    percent: 0..100; None: unknown, and `reason` says why and what would help.
    source: where the figure comes from, in words. proxy: whether it is only related to the load.
    per_lane: the percent that each lane's worker causes, for the lanes where it is known.
    key: identifies the device for its probe and for the engines: a PCI address ("0000:00:02.0") or
    a LUID ("0:58062").
    """

    name: str
    percent: float | None = None
    source: str = ""
    reason: str = ""
    proxy: bool = False
    per_lane: Mapping[str, float] = field(default_factory=dict)
    key: str = ""
    memory_mb: float | None = None
    mhz: float | None = None

    def unknown(self, reason: str) -> Self:
        """The same device without a figure, and why it has none."""
        return replace(self, percent=None, reason=reason, per_lane={}, memory_mb=None, mhz=None)


@dataclass(frozen=True)
class Meter:
    """Average power since the last reading.

    watts: None: unknown, and `reason` says why and what would help. covers: PACKAGE, or the key of
    the one GPU that it measures.
    """

    name: str
    watts: float | None = None
    source: str = ""
    reason: str = ""
    covers: str = PACKAGE

    def unknown(self, reason: str) -> Self:
        """The same meter without a figure, and why it has none."""
        return replace(self, watts=None, reason=reason)


@dataclass(frozen=True)
class WorkerLoad:
    """What a worker process and its children use."""

    cpu_percent: float | None  # share of the whole machine, 0..100; None at the first reading
    rss_mb: float


@dataclass(frozen=True)
class Sample:
    """All readings of `ended_ns` (perf_counter_ns). Loads are averages since `began_ns`; None:
    could not be read."""

    began_ns: int = 0
    ended_ns: int = 0
    cpu_percent: float | None = None
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None
    workers: dict[str, WorkerLoad] = field(default_factory=dict)  # by lane
    gpus: tuple[Gauge, ...] = ()
    npus: tuple[Gauge, ...] = ()
    meters: tuple[Meter, ...] = ()

    @property
    def seconds(self) -> float:
        return (self.ended_ns - self.began_ns) / 1e9

    def as_dict(self) -> dict[str, object]:
        """The sample as the history keeps it: loads and watts, without their sources."""
        return {
            "began_ns": self.began_ns,
            "ended_ns": self.ended_ns,
            "cpu_percent": self.cpu_percent,
            "memory_used_mb": self.memory_used_mb,
            "workers": {lane: asdict(load) for lane, load in self.workers.items()},
            "gpus": [_gauge_dict(gauge) for gauge in self.gpus],
            "npus": [_gauge_dict(gauge) for gauge in self.npus],
            "meters": [{"name": meter.name, "watts": meter.watts} for meter in self.meters],
        }


def _gauge_dict(gauge: Gauge) -> dict[str, object]:
    return {"name": gauge.name, "percent": gauge.percent, "per_lane": gauge.per_lane}


Reading = TypeVar("Reading", Gauge, Meter)
Reading_co = TypeVar("Reading_co", Gauge, Meter, covariant=True)


class Probe(Protocol[Reading_co]):
    """Reads one device once a second; may raise whatever its driver raises.

    name: of the device; shown until there is a first reading.
    """

    name: str

    def read(self, moment: Moment) -> Reading_co: ...


LoadProbe = Probe[Gauge]
PowerProbe = Probe[Meter]


class UnreadableProbe:
    """The probe of a device whose load can't be read: its gauge shows the reason."""

    def __init__(self, device: Hardware, reason: str) -> None:
        self.name = device.name
        self._gauge = Gauge(device.name, reason=reason, key=device.address or "")

    def read(self, moment: Moment) -> Gauge:
        return self._gauge


class CounterRate:
    """How fast a counter grows. A counter that falls has been reset, unless `wraps_at` is given."""

    def __init__(self, wraps_at: int | None = None) -> None:
        self._wraps_at = wraps_at
        self._last: tuple[float, int] | None = None  # value, ns

    def per_second(self, value: float, ns: int) -> float | None:
        """Counter units a second since the last call; None at the first call and after a reset."""
        last, self._last = self._last, (value, ns)
        if last is None or ns <= last[1]:
            return None
        growth = value - last[0]
        if growth < 0 and self._wraps_at is not None:
            growth += self._wraps_at
        return growth * 1e9 / (ns - last[1]) if growth >= 0 else None


def percent(share: float | None) -> float | None:
    """0..1 as 0..100, clamped: clocks that tick separately can give slightly more than 1."""
    return None if share is None else min(max(100 * share, 0.0), 100.0)
