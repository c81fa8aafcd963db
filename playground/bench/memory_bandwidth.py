"""The memory bandwidth of this machine, which limits the decode rate: each token reads all weights.

Measured like "copy" of STREAM (McCalpin, https://www.cs.virginia.edu/stream):

    a[i] = b[i] over two arrays that fit no cache, on all cores, in the best of several passes;
    bytes read plus bytes written, divided by the time. What a processor reads only in order to
    write it (write-allocate) is not counted.

Decode only reads, and a small model may stay in a large cache: the bandwidth utilization can be
slightly above 1. The measurement runs in a child process: its threads and its memory are gone
before anything else is measured.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import sys
import threading
import time

import psutil

from playground.lanes.lane import Lane
from playground.lanes.memory import on_a_card
from playground.runs.benchmark_record import MemoryCopy
from playground.workers import subprocesses

ARRAY_BYTES = 256 * 2**20  # STREAM: at least four times the last cache, 12 to 36 MB in an AI PC
MAX_SHARE_OF_FREE = 1 / 8  # of the free memory, for one array
MIN_PASSES, MIN_SECONDS = 10, 1.0
PATIENCE_S, PASS_PATIENCE_S = 60.0, 20.0  # a thread that gets no memory never arrives
PAGE = 4096

log = logging.getLogger(__name__)


def measure() -> MemoryCopy | None:
    """Measure in a child process; None, with a line in the log, if that fails."""
    try:
        command = [sys.executable, "-m", "playground.bench.memory_bandwidth"]
        output = subprocesses.run(command, PATIENCE_S)
    except OSError as error:
        log.warning("The memory bandwidth could not be measured: %s", error)
        return None
    result = subprocesses.json_object(output.stdout)
    if result is None:
        reason = output.stderr.decode("utf-8", "replace")[-4000:] or "no answer in time"
        log.warning("The memory bandwidth could not be measured: %s", reason)
        return None
    return MemoryCopy.model_validate(result)


def utilization(bandwidth_gbs: float | None, copy_gbs: float | None, lane: Lane) -> float | None:
    """The share of the memory bandwidth that a lane's decode uses (MBU); None for a device with
    memory of its own."""
    if bandwidth_gbs is None or not copy_gbs or on_a_card(lane):
        return None
    return bandwidth_gbs / copy_gbs


def copy_bandwidth(array_bytes: int, min_s: float = MIN_SECONDS) -> MemoryCopy:
    """Measure with two arrays of this size, for at least `min_s` seconds."""
    threads = cores()
    part = array_bytes // threads // PAGE * PAGE
    passes: list[list[tuple[int, int]]] = []  # in each, when a thread began and ended
    go, done = (threading.Barrier(threads + 1, timeout=PASS_PATIENCE_S) for _ in range(2))
    finished = threading.Event()

    def work() -> None:
        target, source = mmap.mmap(-1, part), mmap.mmap(-1, part)
        to, source_address = address(target), address(source)
        ctypes.memset(source_address, 1, part)  # or else it would all be the one page of zeros
        ctypes.memset(to, 2, part)
        while True:
            go.wait()
            if finished.is_set():
                return
            began = time.perf_counter_ns()
            ctypes.memmove(to, source_address, part)  # ctypes releases the GIL
            passes[-1].append((began, time.perf_counter_ns()))
            done.wait()

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    end = time.monotonic() + min_s
    while len(passes) < MIN_PASSES or time.monotonic() < end:
        passes.append([])
        go.wait()
        done.wait()
    finished.set()
    go.wait()
    best = min(max(ended for _, ended in one) - min(began for began, _ in one) for one in passes)
    return MemoryCopy(
        copy_gbs=2 * part * threads / best,
        threads=threads,
        array_mb=part * threads / 1e6,
        passes=len(passes),
    )


def address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def cores() -> int:
    """The number of logical cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on Windows
    return len(affinity(0)) if affinity else os.cpu_count() or 1


if __name__ == "__main__":
    free = psutil.virtual_memory().available
    result = copy_bandwidth(min(ARRAY_BYTES, int(free * MAX_SHARE_OF_FREE)))
    print(result.model_dump_json())
