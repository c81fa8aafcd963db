"""What the sampler read at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

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
