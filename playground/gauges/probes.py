"""All probes of this machine. Each is read separately, so one that fails costs only its gauge."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from playground import devices
from playground.devices import Hardware
from playground.gauges.readings import (
    Gauge,
    LoadProbe,
    Meter,
    Moment,
    PowerProbe,
    Probe,
    Reading,
    UnreadableProbe,
)

FAILED = "Its driver has stopped responding."
HANGS = "Its driver has not responded yet."
UNKNOWN_SYSTEM = "Gauges of GPUs and NPUs are not supported on this operating system."
UNLISTED = "This machine's hardware could not be listed. See the log for details."
TIMEOUT_S = 1.5

log = logging.getLogger(__name__)


class Probes:
    """The probes of the GPUs, the NPUs and the power meters."""

    def __init__(
        self,
        gpu: Iterable[LoadProbe] = (),
        npu: Iterable[LoadProbe] = (),
        power: Iterable[PowerProbe] = (),
    ) -> None:
        self._gpu = [GuardedProbe(probe, Gauge) for probe in gpu]
        self._npu = [GuardedProbe(probe, Gauge) for probe in npu]
        self._power = [GuardedProbe(probe, Meter) for probe in power]

    def read(
        self, moment: Moment
    ) -> tuple[tuple[Gauge, ...], tuple[Gauge, ...], tuple[Meter, ...]]:
        """The gauges of all GPUs, the gauges of all NPUs, and the meters."""
        return _read(self._gpu, moment), _read(self._npu, moment), _read(self._power, moment)


class GuardedProbe(Generic[Reading]):
    """Reads one probe in a thread of its own, since a driver can hang. While it fails or hangs,
    its last reading is returned without figures."""

    def __init__(self, probe: Probe[Reading], make: Callable[[str], Reading]) -> None:
        self._probe: Probe[Reading] = probe
        self._last: Reading = make(probe.name)
        self._failing = False
        self._thread: threading.Thread | None = None

    def read(self, moment: Moment) -> Reading:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read, args=(moment,), daemon=True)
            self._thread.start()
            self._thread.join(TIMEOUT_S)
            if self._thread.is_alive():
                log.warning("The gauge of %s hangs", self._probe.name)
                self._last = self._last.unknown(HANGS)
        return self._last

    def _read(self, moment: Moment) -> None:
        try:
            self._last = self._probe.read(moment)
            self._failing = False
        except Exception:
            if not self._failing:  # log once, not every second
                log.warning("The gauge of %s failed", self._probe.name, exc_info=True)
            self._failing = True
            self._last = self._last.unknown(FAILED)


def _read(probes: Sequence[GuardedProbe[Reading]], moment: Moment) -> tuple[Reading, ...]:
    return tuple(probe.read(moment) for probe in probes)


def local_probes() -> Probes:
    """The probes for the hardware that this machine's operating system lists."""
    hardware = devices.hardware()
    if sys.platform == "win32":
        from playground.gauges import windows as system
    elif sys.platform == "linux":
        from playground.gauges import linux as system
    else:
        return unreadable_probes(UNKNOWN_SYSTEM)
    return Probes(
        system.gpu_probes(hardware), system.npu_probes(hardware), system.power_probes(hardware)
    )


def unreadable_probes(reason: str) -> Probes:
    """Gauges that show why nothing can be read, instead of claiming that there is no device."""
    gpu, npu = (
        UnreadableProbe(Hardware(kind, "", kind, None, None), reason) for kind in ("GPU", "NPU")
    )
    return Probes([gpu], [npu])
