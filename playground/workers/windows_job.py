"""Windows: child processes end with this one, even if it is killed while they are suspended."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import sys
from functools import cache

KILL_ON_CLOSE = 0x2000
EXTENDED_LIMITS = 9

if sys.platform == "win32":

    @cache
    def _kernel() -> ctypes.WinDLL:
        return ctypes.WinDLL("kernel32", use_last_error=True)

    @cache
    def _job() -> ctypes.c_void_p:
        """One job for this process's lifetime; Windows closes its handle, and with it the job."""
        _kernel().CreateJobObjectW.restype = ctypes.c_void_p
        job = ctypes.c_void_p(_kernel().CreateJobObjectW(None, None))
        size = 144 if struct.calcsize("P") == 8 else 112  # JOBOBJECT_EXTENDED_LIMIT_INFORMATION
        limits = ctypes.create_string_buffer(size)
        struct.pack_into("<I", limits, 16, KILL_ON_CLOSE)  # BasicLimitInformation.LimitFlags
        _kernel().SetInformationJobObject(job, EXTENDED_LIMITS, limits, size)
        return job


def add(process: subprocess.Popen[bytes]) -> None:
    """Put a child, and all that it will start, into the job. On other systems: do nothing."""
    if sys.platform == "win32":
        _kernel().AssignProcessToJobObject(_job(), ctypes.c_void_p(int(process._handle)))
