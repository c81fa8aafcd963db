"""The reasons that a machine with given hardware would show."""

from __future__ import annotations

from collections.abc import Sequence

from playground.devices import Device, Discovery, Hardware
from playground.devices.reasons import explain

CPU = Device("CPU", "Intel(R) Core(TM) Ultra 7 155H")
ONLY_CPU = Discovery(openvino=(CPU,))


def reason(
    device: str,
    hardware: Sequence[Hardware] = (),
    discovery: Discovery = ONLY_CPU,
    torch: str | None = "CPU",
    platform: str = "linux",
) -> str:
    """Both sentences."""
    return " ".join(explain(device, discovery, hardware, torch, platform))
