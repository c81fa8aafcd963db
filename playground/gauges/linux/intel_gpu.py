"""Intel's GPUs on Linux, by i915 or xe.

While a worker has the GPU open, its own account (fdinfo) is the figure. Without, there is only how
long the GPU was not in its idle state: a proxy, since it can be awake and do nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from playground.devices import Hardware
from playground.gauges.linux.drm import SOURCE, Clients, Use
from playground.gauges.linux.pci import (
    MEASURING,
    GpuLoad,
    GpuPower,
    first,
    folder,
    number,
    optional,
)
from playground.gauges.readings import Gauge, Growth, Meter, Moment, percent

# By tile and "gt" (one for computing, one for media); older i915 have one figure for all.
IDLE_MS = (
    ("gtidle", "tile*/gt*/gtidle/idle_residency_ms"),
    ("rc6", "drm/card*/gt/gt*/rc6_residency_ms"),
    ("rc6", "drm/card*/power/rc6_residency_ms"),
)
MHZ = ("tile*/gt*/freq0/act_freq", "drm/card*/gt/gt*/rps_act_freq_mhz", "drm/card*/gt_act_freq_mhz")
ENERGY_UJ = ("hwmon/hwmon*/energy1_input", "hwmon/hwmon*/energy2_input")  # xe: card, package
NO_IDLE = "No lane uses this GPU now, and its driver does not tell how long it idles."


class IntelGpu(GpuLoad):
    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._clients = Clients(root, self.folder)
        found = [(state, sorted(self.folder.glob(each))) for state, each in IDLE_MS]
        self._state, self._idle = next((each for each in found if each[1]), ("", []))
        self._mhz = next((each for each in map(self._files, MHZ) if each), [])
        self.forget()

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(pattern))

    def forget(self) -> None:
        self._clients.forget()
        self._growths = [Growth() for _ in self._idle]

    def awake(self, moment: Moment) -> Gauge:
        awake = self._awake(moment)  # read each time, so that it is ready when the last lane ends
        use = self._clients.read(moment)
        mhz = [each for each in map(optional, self._mhz) if each is not None]
        if use is not None and use.counted:
            return self._gauge(use.percent, SOURCE, use, max(mhz, default=None))
        if not self._idle:
            return replace(self.nothing.unknown(NO_IDLE), per_lane=self._clients.strangers)
        source = f"proxy: awake, not necessarily working ({self._state})"
        return self._gauge(awake, source, None, max(mhz, default=None))

    def _awake(self, moment: Moment) -> float | None:
        """0..100, of the busiest gt."""
        grown = [
            growth.per_second(number(path), moment.ns)
            for path, growth in zip(self._idle, self._growths, strict=True)
        ]
        return max(
            (100 - (percent(each / 1000) or 0) for each in grown if each is not None), default=None
        )

    def _gauge(self, load: float | None, source: str, use: Use | None, mhz: float | None) -> Gauge:
        return Gauge(
            self.name,
            load,
            source=source,
            reason=MEASURING if load is None else "",
            proxy=use is None,
            per_lane={**self._clients.strangers, **(use.per_lane if use else {})},
            key=self.nothing.key,
            memory_mb=use.memory_mb if use else None,
            mhz=mhz,
        )


class IntelGpuPower(GpuPower):
    """A card's own energy counter; built-in GPUs have none."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._file = first(self.folder, *ENERGY_UJ)
        self._energy_uj = Growth()

    @staticmethod
    def fits(device: Hardware, root: Path) -> bool:
        return first(folder(device, root), *ENERGY_UJ) is not None

    def forget(self) -> None:
        self._energy_uj = Growth()

    def awake(self, moment: Moment) -> Meter:
        assert self._file is not None, "made only where it fits"
        grown = self._energy_uj.per_second(number(self._file), moment.ns)
        return Meter(
            self.name,
            None if grown is None else grown / 1e6,
            source="the card's energy counter (hwmon)",
            reason=MEASURING if grown is None else "",
            covers=self.nothing.covers,
        )
