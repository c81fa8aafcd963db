"""What the gauges cost: CPU time of the sampler's thread, with workers to look at."""

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
    """Share of one core; with this machine's devices, whatever they are."""
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
    """Of the sampler's thread so far, user and system."""
    (own,) = (each.native_id for each in threading.enumerate() if each.name == "gauges")
    (times,) = (each for each in psutil.Process().threads() if each.id == own)
    return float(times.user_time + times.system_time)
