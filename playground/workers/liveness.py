"""Whether a child process lives, how it ended, and its end with all its children."""

from __future__ import annotations

import contextlib
import signal
import time

import psutil

CPU_SIGN_S = 0.02  # CPU seconds between two looks that count as a sign of life


class SignsOfLife:
    """When a worker was last seen alive: an event, or CPU time that it used.

    No heartbeat thread in the worker can be trusted: some SDKs hold the GIL through a prefill.
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._cpu_s = 0.0
        self.seen()

    def seen(self) -> None:
        self._last = time.monotonic()

    def look(self, pid: int | None) -> None:
        if pid is None:
            return
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            if times.user + times.system - self._cpu_s > CPU_SIGN_S:
                self._cpu_s = times.user + times.system
                self.seen()

    def silent_for_s(self) -> float:
        return time.monotonic() - self._last


def tree(pid: int) -> list[psutil.Process]:
    """A process and its children, those that still run."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def kill_tree(pid: int) -> None:
    """Kill a process and its children, the parent first so that it starts no more of them."""
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            process.kill()


def exit_text(code: int | None) -> str:
    """What an exit code says to a person."""
    if code is None:
        return "it no longer answers"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    if code > 0xC0000000:  # an NTSTATUS on Windows: access violation and the like
        return f"crashed with 0x{code:08X}"
    return f"exit code {code}"
