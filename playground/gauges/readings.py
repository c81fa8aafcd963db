"""What the probes tell: loads of devices, and power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, TypeVar

PACKAGE = "package"  # what a meter of the whole chip covers: cores, built-in GPU and NPU


@dataclass(frozen=True)
class Moment:
    """When the probes are read, and whose load is told apart.

    ns: of `time.perf_counter_ns`. pids: of each lane's worker and its children.
    """

    ns: int
    pids: Mapping[str, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gauge:
    """How busy one device was since the last reading.

    percent: 0..100; None: unknown, and `reason` says why and what would help.
    source: where it comes from, for a person; `proxy`: it tells something near to it only.
    per_lane: the part that each lane's worker causes, where that can be told.
    key: which device it is, as its probe and the engines know it: a PCI address ("0000:00:02.0") or
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
        """The same device, whose load cannot be told now."""
        return replace(self, percent=None, reason=reason, per_lane={}, memory_mb=None, mhz=None)


@dataclass(frozen=True)
class Meter:
    """Mean power since the last reading.

    watts: None: unknown, and `reason` says why and what would help. covers: PACKAGE, or the key of
    the GPU that it measures alone.
    """

    name: str
    watts: float | None = None
    source: str = ""
    reason: str = ""
    covers: str = PACKAGE

    def unknown(self, reason: str) -> Self:
        """The same meter, which cannot be read now."""
        return replace(self, watts=None, reason=reason)


Reading = TypeVar("Reading", Gauge, Meter)


class Probe(Protocol[Reading]):
    """Reads some devices of one kind, once a second; may raise whatever its driver raises.

    name: of the device, for the time before a first reading.
    """

    name: str

    def read(self, moment: Moment) -> list[Reading]: ...


LoadProbe = Probe[Gauge]
PowerProbe = Probe[Meter]


class Growth:
    """How fast a counter grows. One that falls back has been reset, unless it is known to wrap."""

    def __init__(self, wraps_at: int | None = None) -> None:
        self._wraps_at = wraps_at
        self._last: tuple[int, int] | None = None  # value, ns

    def per_second(self, value: int, ns: int) -> float | None:
        """The counter's units a second since the last call; None at the first and at a reset."""
        last, self._last = self._last, (value, ns)
        if last is None or ns <= last[1]:
            return None
        grown = value - last[0]
        if grown < 0 and self._wraps_at is not None:
            grown += self._wraps_at
        return grown * 1e9 / (ns - last[1]) if grown >= 0 else None


def percent(share: float | None) -> float | None:
    """0..1 as 0..100; clocks that do not tick together can make it a little more."""
    return None if share is None else min(max(100 * share, 0.0), 100.0)
