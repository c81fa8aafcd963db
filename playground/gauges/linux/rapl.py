"""Power of the processor package on Linux (cores, built-in GPU and NPU) from its energy counter.

RAPL counts µJ in /sys/class/powercap/intel-rapl:N (on AMD under the same name) and wraps around.
Since Linux 5.10 only root may read it, because precise energy figures can leak secrets
(CVE-2020-8694, PLATYPUS). Kernel: Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from playground.devices.sysfs import read_text
from playground.gauges.linux.pci import read_int, read_optional_int
from playground.gauges.readings import MEASURING, CounterRate, Meter, Moment

SOURCE = "the package's energy counter (RAPL)"
ABSENT = (
    "This machine has no energy counter (RAPL); virtual machines and containers never have one. "
    "On other machines this may help: sudo modprobe intel_rapl_msr"
)
ROOT_ONLY = (
    "Only root may read the energy counter (since Linux 5.10). The following command lets all "
    "programs read it until the next restart; a hostile program could infer secrets from it: "
    "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
)


class Rapl:
    """The power of all sockets together."""

    name = "package"

    def __init__(self, root: Path = Path("/")) -> None:
        self._folder = root / "sys/class/powercap"
        self._sockets: dict[Path, CounterRate] = {}

    def read(self, moment: Moment) -> Meter:
        if not self._sockets:  # its kernel module may be loaded later
            self._sockets = {
                zone: CounterRate(wraps_at=read_optional_int(zone / "max_energy_range_uj"))
                for zone in self._packages()
            }
        empty = Meter(self.name, source=SOURCE)
        if not self._sockets:
            return empty.unknown(ABSENT)
        try:
            rates_uw = [
                rate.per_second(read_int(zone / "energy_uj"), moment.ns)
                for zone, rate in self._sockets.items()
            ]
        except PermissionError:
            return empty.unknown(ROOT_ONLY)
        readable = [rate for rate in rates_uw if rate is not None]
        if len(readable) < len(rates_uw):
            return empty.unknown(MEASURING)
        return replace(empty, watts=sum(readable) / 1e6)

    def _packages(self) -> list[Path]:
        """The zones of whole packages: not their parts (core, uncore), nor the board (psys)."""
        zones = sorted(self._folder.glob("intel-rapl:*"))
        return [zone for zone in zones if read_text(zone / "name").startswith("package-")]
