"""The memory's copy bandwidth on this machine: the roof over a decode rate, since each token reads
all weights. Measured as STREAM's "copy" does (McCalpin, https://www.cs.virginia.edu/stream):

    a[i] = b[i] over two arrays that no cache holds, by all cores, the best of several passes;
    bytes read plus bytes written, over the time. What a processor reads only in order to write
    it (write-allocate) is not counted.

Decode only reads, and a small model may stay in a large cache: a share of somewhat more than 1 is
possible. Runs in a child process, whose threads and memory are
gone before anything else is measured.
"""

from __future__ import annotations

import ctypes
import json
import logging
import mmap
import os
import subprocess
import sys
import threading
import time
from typing import Any

import psutil

from playground.lanes.lane import Lane
from playground.lanes.memory import on_a_card
from playground.workers.process import child_environment

ARRAY_BYTES = 256 * 2**20  # STREAM: at least four times the last cache, 12 to 36 MB in an AI PC
OF_FREE = 8  # an array is at most this part of the free memory
MIN_PASSES, MIN_SECONDS = 10, 1.0
PATIENCE_S, PASS_PATIENCE_S = 60.0, 20.0  # a thread that finds no memory never comes
PAGE = 4096

log = logging.getLogger(__name__)


def measure() -> dict[str, Any] | None:
    """`{"copy_gbs", "threads", "array_mb", "passes"}`; None, and a line in the log, where it could
    not be measured."""
    command = [sys.executable, "-m", "playground.bench.memory_bandwidth"]
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            env=child_environment(),
            timeout=PATIENCE_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows only
        )
        found: dict[str, Any] = json.loads(child.stdout)
        return found
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        log.warning("The copy bandwidth could not be measured: %s", error)
        return None


def share(bandwidth_gbs: float | None, copy: dict[str, Any] | None, lane: Lane) -> float | None:
    """What part of the roof a lane's decode reaches; None for a device with memory of its own."""
    if bandwidth_gbs is None or not copy or on_a_card(lane):
        return None
    return float(bandwidth_gbs / copy["copy_gbs"])


def copy_bandwidth(array_bytes: int, least_s: float = MIN_SECONDS) -> dict[str, Any]:
    """The measurement itself, with two arrays of that size, for at least so long."""
    threads = cores()
    part = array_bytes // threads // PAGE * PAGE
    passes: list[list[tuple[int, int]]] = []  # of each the times at which a thread began and ended
    go, done = (threading.Barrier(threads + 1, timeout=PASS_PATIENCE_S) for _ in range(2))
    finished = threading.Event()

    def work() -> None:
        target, source = mmap.mmap(-1, part), mmap.mmap(-1, part)
        to, of = address(target), address(source)
        ctypes.memset(of, 1, part)  # or else all of it would be the one page of zeros
        ctypes.memset(to, 2, part)
        while True:
            go.wait()
            if finished.is_set():
                return
            began = time.perf_counter_ns()
            ctypes.memmove(to, of, part)  # ctypes lets the other threads run meanwhile
            passes[-1].append((began, time.perf_counter_ns()))
            done.wait()

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    end = time.monotonic() + least_s
    while len(passes) < MIN_PASSES or time.monotonic() < end:
        passes.append([])
        go.wait()
        done.wait()
    finished.set()
    go.wait()
    best = min(max(ended for _, ended in each) - min(began for began, _ in each) for each in passes)
    return {
        "copy_gbs": 2 * part * threads / best,
        "threads": threads,
        "array_mb": part * threads / 1e6,
        "passes": len(passes),
    }


def address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def cores() -> int:
    """Logical cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on Windows
    return len(allowed(0)) if allowed else os.cpu_count() or 1


if __name__ == "__main__":
    free = psutil.virtual_memory().available
    print(json.dumps(copy_bandwidth(min(ARRAY_BYTES, free // OF_FREE))))
