"""CPU and memory of the whole machine."""

from __future__ import annotations

import psutil


class System:
    """Read once a second: the CPU figure is the mean since the last reading."""

    def __init__(self) -> None:
        psutil.cpu_percent(None)  # the first reading has nothing to compare with

    def cpu_percent(self) -> float:
        """Busy share of all cores, 0..100."""
        return psutil.cpu_percent(None)

    def memory_mb(self) -> tuple[float, float]:
        """Used (what is not available to a new program) and total, in MB."""
        memory = psutil.virtual_memory()
        return (memory.total - memory.available) / 1e6, memory.total / 1e6
