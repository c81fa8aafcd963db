"""AMD's GPUs on Linux, by amdgpu's own busy figure; each lane's part by fdinfo."""

from __future__ import annotations

from pathlib import Path

from playground.devices import Hardware
from playground.gauges.linux.drm import Clients
from playground.gauges.linux.pci import GpuLoad, GpuPower, asleep, first, folder, number, optional
from playground.gauges.readings import PACKAGE, Gauge, Meter, Moment

BUSY = "gpu_busy_percent"
NO_BUSY = "The driver amdgpu tells no load of this GPU."
POWER_UW = ("hwmon/hwmon*/power1_average", "hwmon/hwmon*/power1_input")  # newer cards: the second
METRICS_REVISIONS = {1: "card", 2: "apu", 3: "apu"}  # gpu_metrics' format_revision


def make(device: Hardware, root: Path) -> str | None:
    """ "card", "apu" (built in: its power is the whole chip's), or None where amdgpu does not tell.

    Only cards ever sleep, and to ask one would wake it.
    """
    place = folder(device, root)
    if asleep(place):
        return "card"
    try:
        header = (place / "gpu_metrics").read_bytes()[:4]
    except OSError:
        return None
    return METRICS_REVISIONS.get(header[2]) if len(header) == 4 else None


class AmdGpu(GpuLoad):
    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._clients = Clients(root, self.folder)
        self._tells = (self.folder / BUSY).exists()
        # A built-in GPU has most of its memory in the system's (gtt).
        kinds = ("vram", "gtt") if make(device, root) == "apu" else ("vram",)
        self._memory = [self.folder / f"mem_info_{kind}_used" for kind in kinds]
        self._hz = first(self.folder, "hwmon/hwmon*/freq1_input")

    def forget(self) -> None:
        self._clients.forget()

    def awake(self, moment: Moment) -> Gauge:
        if not self._tells:
            return self.nothing.unknown(NO_BUSY)
        use = self._clients.read(moment)
        memory = [each for each in map(optional, self._memory) if each is not None]
        hz = optional(self._hz)
        return Gauge(
            self.name,
            float(number(self.folder / BUSY)),
            source=f"amdgpu's {BUSY}",
            per_lane={**self._clients.strangers, **(use.per_lane if use else {})},
            key=self.nothing.key,
            memory_mb=sum(memory) / 1e6 if memory else None,
            mhz=None if hz is None else hz / 1e6,
        )


class AmdGpuPower(GpuPower):
    """A card's, or the whole chip's where the GPU is built in."""

    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        super().__init__(device, root)
        self._file = first(self.folder, *POWER_UW)
        self._covers = PACKAGE if make(device, root) == "apu" else self.nothing.covers

    @staticmethod
    def fits(device: Hardware, root: Path, wanted: str) -> bool:
        """Whether it has a meter and is a "card" or an "apu"."""
        found = first(folder(device, root), *POWER_UW)
        return found is not None and make(device, root) == wanted

    def awake(self, moment: Moment) -> Meter:
        assert self._file is not None, "made only where it fits"
        return Meter(
            self.name,
            number(self._file) / 1e6,
            source=f"amdgpu's {self._file.name} (hwmon)",
            covers=self._covers,
        )
