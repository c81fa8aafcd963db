"""The GPUs and NPUs that are built in, as the operating system lists them."""

from __future__ import annotations

import logging
import sys
from functools import cache

from playground.devices import sysfs, windows
from playground.devices.records import Device, Hardware

log = logging.getLogger(__name__)


@cache
def hardware() -> tuple[Hardware, ...]:
    """Read once, in some milliseconds; an unknown system has none."""
    try:
        if sys.platform == "win32":
            return windows.scan(windows.LocalRegistry())
        return sysfs.scan() if sys.platform == "linux" else ()
    except Exception:  # drivers write there what they like; a surprise must cost no lane
        log.exception("The hardware could not be read")
        return ()


def directml_adapters() -> tuple[Device, ...]:
    """The GPUs for DirectML; none where there is no Windows."""
    try:
        return windows.adapters(windows.LocalRegistry()) if sys.platform == "win32" else ()
    except Exception:  # the same
        log.exception("The adapters for DirectML could not be read")
        return ()
