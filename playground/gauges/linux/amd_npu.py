"""AMD's NPU on Linux: the driver amdxdna has no load in sysfs.

AMD's own builds of it count busy time in fdinfo, of their own users each: `drm-engine-npu-amdxdna`,
since 2026 `drm-engine-amdxdna_accel_driver`. The kernel's (up to Linux 7.2) tells memory only.
"""

from __future__ import annotations

from pathlib import Path

from playground.devices import Hardware
from playground.gauges.linux.drm import SOURCE, Clients
from playground.gauges.linux.pci import MEASURING, folder
from playground.gauges.readings import Gauge, Moment

NOT_COUNTED = (
    "This build of the driver amdxdna counts no busy time. "
    "AMD's own does: https://github.com/amd/xdna-driver"
)
NOT_USED = "The driver amdxdna counts by user, and no lane uses this NPU now."


class AmdNpu:
    def __init__(self, device: Hardware, root: Path = Path("/")) -> None:
        self.name = device.name
        self._nothing = Gauge(device.name, key=device.address or "")
        self._clients = Clients(root, folder(device, root))

    def read(self, moment: Moment) -> list[Gauge]:
        use = self._clients.read(moment)
        if use is None or not use.counted:
            return [self._nothing.unknown(NOT_USED if use is None else NOT_COUNTED)]
        return [
            Gauge(
                self.name,
                use.percent,
                source=SOURCE,
                reason=MEASURING if use.percent is None else "",
                per_lane=use.per_lane,
                key=self._nothing.key,
                memory_mb=use.memory_mb,
            )
        ]
