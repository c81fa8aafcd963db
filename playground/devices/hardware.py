"""The GPUs and NPUs that are built in, as the operating system lists them."""

from __future__ import annotations

import sys
from functools import cache

from playground.devices import sysfs, windows
from playground.devices.records import Hardware


@cache
def hardware() -> tuple[Hardware, ...]:
    """Read once, in some milliseconds; an unknown system has none."""
    if sys.platform == "win32":
        return windows.scan(windows.LocalRegistry())
    return sysfs.scan() if sys.platform == "linux" else ()
