"""Stubs of devices that this machine does not have: gauges and meters with given figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playground.gauges.readings import Gauge, Meter, Moment, Sample

NS_PER_S = 1_000_000_000


def sample(second: float, span: float = 1.0, **readings: Any) -> Sample:
    """The sample of the `span` seconds that end at `second`."""
    return Sample(int((second - span) * NS_PER_S), int(second * NS_PER_S), **readings)


@dataclass
class StubGauge:
    """A GPU or NPU. own: whether it reports each lane's part, which is then the whole load."""

    name: str = "stub NPU"
    percent: float | None = 93.0
    own: bool = False
    failing: bool = False
    moments: list[Moment] = field(default_factory=list)

    def read(self, moment: Moment) -> Gauge:
        self.moments.append(moment)
        if self.failing:
            raise OSError("the driver went away")
        lanes = dict.fromkeys(moment.pids, self.percent or 0.0) if self.own else {}
        return Gauge(self.name, self.percent, "a stub", per_lane=lanes)


@dataclass
class StubMeter:
    """A package that draws a constant power."""

    name: str = "stub package"
    watts: float | None = 20.0

    def read(self, moment: Moment) -> Meter:
        reason = "" if self.watts is not None else "Only root may read it."
        return Meter(self.name, self.watts, "a stub", reason)
