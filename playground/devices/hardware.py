"""The GPUs and NPUs of this machine, as the operating system lists them."""

from __future__ import annotations

import logging
import sys
from functools import cache

from playground.devices import sysfs, windows
from playground.devices.records import Device, Hardware

log = logging.getLogger(__name__)


@cache
def hardware() -> tuple[Hardware, ...]:
    """Read once, in some milliseconds; () on an operating system that is not supported."""
    try:
        if sys.platform == "win32":
            return windows.scan(windows.Registry())
        return sysfs.scan() if sys.platform == "linux" else ()
    except Exception:  # drivers may write anything there; surprises must not cost lanes
        log.exception("The hardware could not be read")
        return ()


def directml_adapters() -> tuple[Device, ...]:
    """The GPUs that DirectML can use; () outside Windows."""
    try:
        return windows.adapters(windows.Registry()) if sys.platform == "win32" else ()
    except Exception:  # as above
        log.exception("The adapters for DirectML could not be read")
        return ()
