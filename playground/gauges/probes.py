"""All probes of this machine, each read by itself: one that fails costs its own gauge."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from playground import devices
from playground.devices import Hardware
from playground.gauges.linux.pci import Silent
from playground.gauges.readings import (
    Gauge,
    LoadProbe,
    Meter,
    Moment,
    PowerProbe,
    Probe,
    Reading,
)

GONE = "Its driver does not answer any more."
HANGS = "Its driver has not answered yet."
UNKNOWN_SYSTEM = "Not known on this operating system."
UNLISTED = "This machine's hardware could not be listed. Details are in the log."
PATIENCE_S = 1.5

log = logging.getLogger(__name__)


class Probes:
    """The GPUs', the NPU's and the power meters'."""

    def __init__(
        self,
        gpu: Iterable[LoadProbe] = (),
        npu: Iterable[LoadProbe] = (),
        power: Iterable[PowerProbe] = (),
    ) -> None:
        self._gpu = [Guard(each, Gauge) for each in gpu]
        self._npu = [Guard(each, Gauge) for each in npu]
        self._power = [Guard(each, Meter) for each in power]

    def read(
        self, moment: Moment
    ) -> tuple[tuple[Gauge, ...], tuple[Gauge, ...], tuple[Meter, ...]]:
        """The loads of all GPUs and of all NPUs, and what the meters say."""
        return read(self._gpu, moment), read(self._npu, moment), read(self._power, moment)


class Guard(Generic[Reading]):
    """Reads one probe, in a thread of its own, since drivers hang too. While it fails or hangs,
    what it named last is shown without a figure."""

    def __init__(self, probe: Probe[Reading], kind: Callable[[str], Reading]) -> None:
        self._probe: Probe[Reading] = probe
        self._last: list[Reading] = [kind(probe.name)]
        self._failing = False
        self._thread: threading.Thread | None = None

    def read(self, moment: Moment) -> list[Reading]:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read, args=(moment,), daemon=True)
            self._thread.start()
            self._thread.join(PATIENCE_S)
            if self._thread.is_alive():
                log.warning("The gauge of %s hangs", self._probe.name)
                self._last = [each.unknown(HANGS) for each in self._last]
        return self._last

    def _read(self, moment: Moment) -> None:
        try:
            self._last = self._probe.read(moment)
            self._failing = False
        except Exception:
            if not self._failing:  # once, not every second
                log.warning("The gauge of %s failed", self._probe.name, exc_info=True)
            self._failing = True
            self._last = [each.unknown(GONE) for each in self._last]


def read(guards: Sequence[Guard[Reading]], moment: Moment) -> tuple[Reading, ...]:
    return tuple(each for guard in guards for each in guard.read(moment))


def of_this_machine() -> Probes:
    """For the hardware that the operating system lists."""
    hardware = devices.hardware()
    if sys.platform == "win32":
        from playground.gauges import windows as system
    elif sys.platform == "linux":
        from playground.gauges import linux as system
    else:
        return unreadable(UNKNOWN_SYSTEM)
    return Probes(
        system.gpu_probes(hardware), system.npu_probes(hardware), system.power_probes(hardware)
    )


def unreadable(reason: str) -> Probes:
    """Gauges that say why they cannot tell; not that there is no such device."""
    gpu, npu = (Silent(Hardware(kind, "", kind, None, None), reason) for kind in ("GPU", "NPU"))
    return Probes([gpu], [npu])
