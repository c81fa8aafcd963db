"""Windows' performance counters, read through pdh.dll."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Iterable, Mapping
from ctypes import POINTER, byref, c_double, c_size_t, c_uint32, c_void_p, c_wchar_p
from typing import Any, Protocol


class CounterError(Exception):
    """Windows does not give a counter. The message is a part of a sentence: "no counter “X”"."""


class Counters(Protocol):
    """Counters with a wildcard for their instances, all collected at the same moments."""

    def read(self, path: str, ns: int) -> Mapping[str, float] | None:
        r"""By instance, from the collect of this moment; None until two can be compared.

        path: in English, whatever Windows speaks: r"\Energy Meter(*)\Power". Raises CounterError.
        """


class Value(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE with PDH_FMT_DOUBLE."""

    _fields_ = [("status", c_uint32), ("number", c_double)]


class CounterItem(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE_ITEM_W"""

    _fields_ = [("instance", c_wchar_p), ("value", Value)]


PROTOTYPES: dict[str, tuple[Any, ...]] = {  # of pdh.h; each gives a status
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
VALID, NEW = 0, 1  # PDH_CSTATUS_VALID_DATA, _NEW_DATA: of an item that has a value
MORE_DATA = 0x800007D2
FORMAT = 0x200 | 0x8000  # PDH_FMT_DOUBLE | PDH_FMT_NOCAP100: nothing is cut off at 100
MISSING = {  # the object or counter is none that this Windows has
    0xC0000BB8,  # PDH_CSTATUS_NO_OBJECT
    0xC0000BB9,  # PDH_CSTATUS_NO_COUNTER
}


class LocalCounters:
    """This machine's. All are collected together, once a moment; opened at the first reading.

    A counter is added once and keeps its wildcard: PdhGetFormattedCounterArrayW gives the instances
    of the last collect, so that processes appear and go (Datadog's agent reads so for the same
    reason, and warns that adding counters again leaks: its perf_counters/counter.py).
    """

    def __init__(self, paths: Iterable[str], library: Any = None) -> None:
        """library: pdh.dll, for tests."""
        self._paths = tuple(paths)
        self._library = library
        self._lock = threading.Lock()  # PDH's calls come in pairs
        self._query: c_void_p | None = None
        self._counters: dict[str, c_void_p] = {}
        self._errors: dict[str, str] = {}
        self._ns = 0
        self._collects = 0
        self._read: dict[str, dict[str, float]] = {}

    def read(self, path: str, ns: int) -> Mapping[str, float] | None:
        with self._lock:
            if self._query is None:
                self._open()
            if path in self._errors:
                raise CounterError(self._errors[path])
            if ns != self._ns:
                self._collect(ns)
            if self._collects < 2:  # most are rates
                return None
            if path not in self._read:
                self._read[path] = self._array(self._counters[path])
            return self._read[path]

    def _open(self) -> None:
        self._query = c_void_p()
        try:
            self._library = self._library or ctypes.WinDLL("pdh")  # type: ignore[attr-defined]
            for name, arguments in PROTOTYPES.items():
                function = getattr(self._library, name)
                function.argtypes, function.restype = arguments, c_uint32
            check(self._library.PdhOpenQueryW(None, 0, byref(self._query)))
        except (AttributeError, OSError, CounterError) as error:
            self._errors = dict.fromkeys(self._paths, f"pdh.dll: {error}")
            return
        closing = weakref.finalize(self, self._library.PdhCloseQuery, self._query)
        closing.atexit = False  # a thread may still be collecting then, and the process ends anyway
        for path in self._paths:
            counter = c_void_p()
            status = self._library.PdhAddEnglishCounterW(self._query, path, 0, byref(counter))
            if status:  # costs this counter, and no other
                self._errors[path] = why(status, path)
            self._counters[path] = counter

    def _collect(self, ns: int) -> None:
        self._read = {}
        check(self._library.PdhCollectQueryData(self._query))
        self._ns = ns
        self._collects += 1

    def _array(self, counter: c_void_p) -> dict[str, float]:
        for _ in range(3):  # it may have grown since its size was asked for
            # A size that is too small must not be used again: pdh.h's PdhGetFormattedCounterArray.
            size, count, items = c_uint32(), c_uint32(), (CounterItem * 0)()
            read = self._library.PdhGetFormattedCounterArrayW
            status = read(counter, FORMAT, byref(size), byref(count), None)
            if status == MORE_DATA:  # bytes: the items, and after them their names
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
        raise CounterError(why(status))


def why(status: int, path: str = "") -> str:
    name = path.strip("\\").partition("(")[0]
    return f"no counter “{name}”" if status in MISSING and name else f"status 0x{status:08X}"
