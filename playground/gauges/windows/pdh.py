"""Windows' performance counters, read through pdh.dll.

Not through pywin32: its win32pdh.GetFormattedCounterArray ignores the status of each item, which
turns invalid values into figures, and it fails on an array without items.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Iterable, Mapping
from ctypes import POINTER, byref, c_double, c_size_t, c_uint32, c_void_p, c_wchar_p


class CounterError(Exception):
    """A counter can't be read. The message is part of a sentence: "no counter “X”"."""


class Value(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE with PDH_FMT_DOUBLE."""

    _fields_ = [("status", c_uint32), ("number", c_double)]


class CounterItem(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE_ITEM_W."""

    _fields_ = [("instance", c_wchar_p), ("value", Value)]


PROTOTYPES: dict[str, tuple[type, ...]] = {  # of pdh.h; each returns a status
    "PdhOpenQueryW": (c_wchar_p, c_size_t, POINTER(c_void_p)),
    "PdhAddEnglishCounterW": (c_void_p, c_wchar_p, c_size_t, POINTER(c_void_p)),
    "PdhCollectQueryData": (c_void_p,),
    "PdhGetFormattedCounterArrayW": (
        c_void_p,
        c_uint32,
        POINTER(c_uint32),
        POINTER(c_uint32),
        c_void_p,
    ),
    "PdhCloseQuery": (c_void_p,),
}
VALID, NEW = 0, 1  # PDH_CSTATUS_VALID_DATA, _NEW_DATA: the item has a value
MORE_DATA = 0x800007D2
FORMAT = 0x200 | 0x8000  # PDH_FMT_DOUBLE | PDH_FMT_NOCAP100: values above 100 are kept
MISSING = {  # this Windows has no such object or counter
    0xC0000BB8,  # PDH_CSTATUS_NO_OBJECT
    0xC0000BB9,  # PDH_CSTATUS_NO_COUNTER
}


class Counters:
    """Counters of this machine, with a wildcard for their instances, opened at the first reading
    and collected together.

    A counter is added once and keeps its wildcard: PdhGetFormattedCounterArrayW returns the
    instances of the last collection, which follows processes that start and end. (Datadog's agent
    does the same and warns that adding counters again leaks: its perf_counters/counter.py.)
    """

    def __init__(self, paths: Iterable[str], library: ctypes.CDLL | None = None) -> None:
        """library: a stub of pdh.dll, for tests."""
        self._paths = tuple(paths)
        self._library = library
        self._lock = threading.Lock()  # two calls read one array
        self._query: c_void_p | None = None
        self._counters: dict[str, c_void_p] = {}
        self._errors: dict[str, str] = {}
        self._ns = 0
        self._collections = 0
        self._values: dict[str, dict[str, float]] = {}  # by path, of the last collection

    def read(self, path: str, ns: int) -> Mapping[str, float] | None:
        r"""Values by instance, as collected at `ns`; None until there are two collections.

        path: in English, whatever the language of Windows: r"\Energy Meter(*)\Power".
        Raises CounterError.
        """
        with self._lock:
            if self._query is None:
                self._open()
            if path in self._errors:
                raise CounterError(self._errors[path])
            if ns != self._ns:
                self._collect(ns)
            if self._collections < 2:  # most counters are rates
                return None
            if path not in self._values:
                self._values[path] = self._array(self._counters[path])
            return self._values[path]

    def _open(self) -> None:
        self._query = c_void_p()
        try:
            pdh = self._pdh = self._library or ctypes.CDLL("pdh")  # as WinDLL, on 64-bit Windows
            for name, arguments in PROTOTYPES.items():
                function = getattr(pdh, name)
                function.argtypes, function.restype = arguments, c_uint32
            check(pdh.PdhOpenQueryW(None, 0, byref(self._query)))
        except (AttributeError, OSError, CounterError) as error:
            self._errors = dict.fromkeys(self._paths, f"pdh.dll: {error}")
            return
        finalizer = weakref.finalize(self, pdh.PdhCloseQuery, self._query)
        finalizer.atexit = False  # a thread may still be collecting, and the process ends anyway
        for path in self._paths:
            counter = c_void_p()
            status = pdh.PdhAddEnglishCounterW(self._query, path, 0, byref(counter))
            if status:  # costs only this counter
                self._errors[path] = describe(status, path)
            self._counters[path] = counter

    def _collect(self, ns: int) -> None:
        self._values = {}
        check(self._pdh.PdhCollectQueryData(self._query))
        self._ns = ns
        self._collections += 1

    def _array(self, counter: c_void_p) -> dict[str, float]:
        read = self._pdh.PdhGetFormattedCounterArrayW
        for _ in range(3):  # the array may grow between the two calls
            # After a failure the size is undefined (documented for PdhGetFormattedCounterArray).
            size, count, items = c_uint32(), c_uint32(), (CounterItem * 0)()
            status = read(counter, FORMAT, byref(size), byref(count), None)
            if status == MORE_DATA:  # size in bytes: the items, followed by their names
                items = (CounterItem * -(-size.value // ctypes.sizeof(CounterItem)))()
                status = read(counter, FORMAT, byref(size), byref(count), items)
            if status != MORE_DATA:
                break
        check(status)
        return {
            item.instance: item.value.number
            for item in items[: count.value]
            if item.instance and item.value.status in (VALID, NEW)
        }


def check(status: int) -> None:
    """Raises CounterError."""
    if status:
        raise CounterError(describe(status))


def describe(status: int, path: str = "") -> str:
    name = path.strip("\\").partition("(")[0]
    return f"no counter “{name}”" if status in MISSING and name else f"status 0x{status:08X}"
