"""Intel's NPU on Linux, by the busy time that its driver intel_vpu counts (since Linux 6.11).

It counts while jobs are queued, so it tells "in use", not how much of the NPU computes.
"""

from __future__ import annotations

from pathlib import Path

from playground.devices import Hardware
from playground.gauges.linux.pci import MEASURING, denied, folder, number, optional
from playground.gauges.readings import Gauge, Growth, Moment, percent

BUSY = "npu_busy_time_us"
TOO_OLD = (
    "The driver intel_vpu of this kernel does not tell its busy time. Linux 6.11 and newer do."
)


class IntelNpu:
    """Reading wakes nothing: the counter is the driver's own."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        self.name = device.name
        self._key = device.address or ""
        self._folder = folder(device, root)
        self._counts = (self._folder / BUSY).exists()
        self._busy_us = Growth()

    def read(self, moment: Moment) -> list[Gauge]:
        nothing = Gauge(self.name, key=self._key)
        if not self._counts:
            return [nothing.unknown(TOO_OLD)]
        try:
            grown = self._busy_us.per_second(number(self._folder / BUSY), moment.ns)
        except PermissionError as error:
            return [nothing.unknown(denied(error))]
        memory = optional(self._folder / "npu_memory_utilization")  # bytes, whatever its name says
        return [
            Gauge(
                self.name,
                percent(None if grown is None else grown / 1e6),
                source="intel_vpu's busy time",
                reason=MEASURING if grown is None else "",
                key=self._key,
                memory_mb=None if memory is None else memory / 1e6,
                mhz=optional(self._folder / "npu_current_frequency_mhz"),
            )
        ]
