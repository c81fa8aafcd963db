"""The cost of the gauges: CPU time of the sampler's thread while several workers run."""

from __future__ import annotations

import threading
import time

import psutil

from benchmarks.pairs import Row
from playground.arena import Arena
from playground.lanes.lane import parse

SECONDS = 30
WORKERS = 4


def sampler(arena: Arena) -> Row:
    """The share of one core that the sampler uses for this machine's devices."""
    for number in range(WORKERS):
        arena.hosts[parse(f"fake:CPU:{number + 1}tps")].make_ready("none")
    before = cpu_seconds()
    time.sleep(SECONDS)
    share = (cpu_seconds() - before) / SECONDS
    latest = arena.sampler.latest
    devices = len(latest.gpus) + len(latest.npus) + len(latest.meters)
    note = f"{WORKERS} workers, {len(psutil.pids())} processes, {devices} probes, {SECONDS} s"
    return Row("gauges: share of one core", f"{share:.2%}", "≤ 1 %", note)


def cpu_seconds() -> float:
    """User and system time of the sampler's thread so far."""
    (own,) = (thread.native_id for thread in threading.enumerate() if thread.name == "gauges")
    (times,) = (thread for thread in psutil.Process().threads() if thread.id == own)
    return float(times.user_time + times.system_time)
