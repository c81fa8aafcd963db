"""Which devices this machine has, which of them the engines can use, and why not the others.

The engines are asked in child processes, so this package imports none of them.
"""

from __future__ import annotations

from playground.devices.hardware import hardware
from playground.devices.probing import discover, discovered, forget, torch_build
from playground.devices.reasons import why_not
from playground.devices.records import Device, Discovery, Hardware

__all__ = [
    "Device",
    "Discovery",
    "Hardware",
    "discover",
    "discovered",
    "forget",
    "hardware",
    "torch_build",
    "why_not",
]
