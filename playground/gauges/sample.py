"""What the sampler read at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playground.gauges.readings import Gauge, Meter
from playground.gauges.workers import WorkerLoad


@dataclass(frozen=True)
class Sample:
    """What was read at `ended_ns` (perf_counter_ns); loads are means since `began_ns`. None is what
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

    def as_dict(self) -> dict[str, Any]:
        """For the history: loads and watts, without where they come from."""
        return {
            "began_ns": self.began_ns,
            "ended_ns": self.ended_ns,
            "cpu_percent": self.cpu_percent,
            "memory_used_mb": self.memory_used_mb,
            "workers": {lane: vars(load) for lane, load in self.workers.items()},
            "gpus": [loads(each) for each in self.gpus],
            "npus": [loads(each) for each in self.npus],
            "meters": [{"name": each.name, "watts": each.watts} for each in self.meters],
        }


def loads(gauge: Gauge) -> dict[str, Any]:
    return {"name": gauge.name, "percent": gauge.percent, "per_lane": dict(gauge.per_lane)}
