"""Whether a child process still works, and how it ended."""

from __future__ import annotations

import contextlib
import signal
import time

import psutil

CPU_SIGN_S = 0.02  # CPU seconds used between two checks that count as a sign of life


class SignsOfLife:
    """When a worker last gave a sign of life: an event, or CPU time that it used.

    A heartbeat thread in the worker would not do: some SDKs hold the GIL throughout a prefill.
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._cpu_s = 0.0
        self.record()

    def record(self) -> None:
        self._last = time.monotonic()

    def check_cpu(self, pid: int | None) -> None:
        if pid is None:
            return
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            if times.user + times.system - self._cpu_s > CPU_SIGN_S:
                self._cpu_s = times.user + times.system
                self.record()

    def silent_for_s(self) -> float:
        return time.monotonic() - self._last


def exit_text(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "it no longer answers"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    if code > 0xC0000000:  # an NTSTATUS on Windows: access violation and the like
        return f"crashed with 0x{code:08X}"
    return f"exit code {code}"
