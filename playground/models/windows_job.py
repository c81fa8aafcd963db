"""Windows: children end with this process, even when it is killed while they are suspended."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import sys
from functools import cache
from typing import Any

_KILL_ON_CLOSE = 0x2000
_EXTENDED_LIMITS = 9


@cache
def _job() -> tuple[Any, int | None]:
    """One job for this process's lifetime; Windows closes its handle, and with it the job."""
    kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.CreateJobObjectW.restype = ctypes.c_void_p
    handle = kernel.CreateJobObjectW(None, None)
    size = 144 if struct.calcsize("P") == 8 else 112  # JOBOBJECT_EXTENDED_LIMIT_INFORMATION
    limits = ctypes.create_string_buffer(size)
    struct.pack_into("<I", limits, 16, _KILL_ON_CLOSE)  # BasicLimitInformation.LimitFlags
    kernel.SetInformationJobObject(ctypes.c_void_p(handle), _EXTENDED_LIMITS, limits, size)
    return kernel, handle


def end_with_us(process: subprocess.Popen[str]) -> None:
    """Puts a child, and all that it will start, into the job."""
    if sys.platform == "win32":
        kernel, job = _job()
        handle = int(process._handle)  # type: ignore[attr-defined]
        kernel.AssignProcessToJobObject(ctypes.c_void_p(job), ctypes.c_void_p(handle))
