"""Power of the processor's package on Linux: cores, built-in GPU and NPU, by its energy counter.

RAPL counts µJ in /sys/class/powercap/intel-rapl:N (AMD's too, under that name) and wraps. Only root
may read it since Linux 5.10: fine figures of energy can betray secrets (CVE-2020-8694, PLATYPUS).
Kernel: Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

from pathlib import Path

from playground.gauges.linux.pci import MEASURING, number, optional, text
from playground.gauges.readings import Growth, Meter, Moment

SOURCE = "the package's energy counter (RAPL)"
ABSENT = (
    "This machine shows no energy counter (RAPL); virtual machines and containers have none. "
    "On others this may help: sudo modprobe intel_rapl_msr"
)
ROOT_ONLY = (
    "Only root may read the energy counter (since Linux 5.10). Until the next restart, this lets "
    "all programs here read it, from which a hostile one can guess at others' secrets: "
    "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
)


class Rapl:
    """All sockets together."""

    name = "package"

    def __init__(self, root: Path = Path("/")) -> None:
        self._place = root / "sys/class/powercap"
        self._sockets: dict[Path, Growth] = {}

    def read(self, moment: Moment) -> list[Meter]:
        if not self._sockets:  # its module may be loaded later
            self._sockets = {each: Growth(wraps_at(each)) for each in self._packages()}
        nothing = Meter(self.name, source=SOURCE)
        if not self._sockets:
            return [nothing.unknown(ABSENT)]
        try:
            grown = [
                growth.per_second(number(zone / "energy_uj"), moment.ns)
                for zone, growth in self._sockets.items()
            ]
        except PermissionError:
            return [nothing.unknown(ROOT_ONLY)]
        known = [each for each in grown if each is not None]
        if len(known) < len(grown):
            return [nothing.unknown(MEASURING)]
        return [Meter(self.name, sum(known) / 1e6, source=SOURCE)]

    def _packages(self) -> list[Path]:
        """Not their parts (core, uncore), nor psys, which counts the whole board."""
        zones = sorted(self._place.glob("intel-rapl:*"))
        return [each for each in zones if text(each / "name").startswith("package-")]


def wraps_at(zone: Path) -> int | None:
    return optional(zone / "max_energy_range_uj")
