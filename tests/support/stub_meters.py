"""Stubs of devices that are not at hand: gauges and meters that say what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.gauges.readings import Gauge, Meter, Moment


@dataclass
class StubGauge:
    """A GPU or NPU. own: whether it tells each worker's part, which is then all of it."""

    name: str = "stub NPU"
    percent: float | None = 93.0
    own: bool = False
    failing: bool = False
    moments: list[Moment] = field(default_factory=list)

    def read(self, moment: Moment) -> list[Gauge]:
        self.moments.append(moment)
        if self.failing:
            raise OSError("the driver went away")
        lanes = dict.fromkeys(moment.pids, self.percent or 0.0) if self.own else {}
        return [Gauge(self.name, self.percent, "a stub", per_lane=lanes)]


@dataclass
class StubMeter:
    """A package that draws a constant power."""

    name: str = "stub package"
    watts: float | None = 20.0

    def read(self, moment: Moment) -> list[Meter]:
        reason = "" if self.watts is not None else "Only root may read it."
        return [Meter(self.name, self.watts, "a stub", reason)]
