"""Reading of Windows' counters, from a stub of pdh.dll and from the Windows of this machine."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import pytest

from playground.gauges.windows import ENGINES, POWER, pdh
from playground.gauges.windows.pdh import CounterError, Counters


class StubPdh(ctypes.CDLL):
    """The functions of pdh.dll as ctypes callbacks. Its counters have English names."""

    def __init__(self, **values: list[tuple[str | None, int, float]]) -> None:
        self.values = values  # by object: instance, status, value
        self.paths: list[str] = []
        self.closed = self.collects = self.grows = 0
        self.collect_status = 0
        self.kept: list[pdh.CounterItem] = []  # whose names must outlive the call
        functions: dict[str, Callable[..., int]] = {
            "PdhOpenQueryW": self._open_query,
            "PdhAddEnglishCounterW": self._add_counter,
            "PdhCollectQueryData": self._collect,
            "PdhGetFormattedCounterArrayW": self._get_array,
            "PdhCloseQuery": self._close,
        }
        for name, arguments in pdh.PROTOTYPES.items():
            prototype = ctypes.CFUNCTYPE(ctypes.c_uint32, *arguments)
            setattr(self, name, prototype(functions[name]))

    def _open_query(self, source: str | None, user: int, query: Any) -> int:
        query[0] = 0x7FF0_0000_0001  # a handle does not fit 32 bits
        return 0

    def _add_counter(self, query: int, path: str, user: int, counter: Any) -> int:
        assert query == 0x7FF0_0000_0001
        self.paths.append(path)
        name = path[1:].partition("(")[0].replace(" ", "")
        if name not in self.values:
            return 0xC0000BB9
        counter[0] = 0x7FF0_0000_0010 + list(self.values).index(name)
        return 0

    def _collect(self, query: int) -> int:
        self.collects += 1
        return self.collect_status

    def _get_array(self, counter: int, form: int, size: Any, count: Any, buffer: int | None) -> int:
        assert form == 0x8200
        items = list(self.values.values())[counter - 0x7FF0_0000_0010]
        needed = len(items) * ctypes.sizeof(pdh.CounterItem)
        if size[0] < needed or self.grows:
            self.grows -= bool(buffer and self.grows)
            size[0] = needed + 100  # the names come after the items
            return 0x800007D2
        count[0] = len(items)
        for index, (instance, status, number) in enumerate(items):
            item = pdh.CounterItem.from_address(
                (buffer or 0) + index * ctypes.sizeof(pdh.CounterItem)
            )
            item.instance, item.value.status, item.value.number = instance, status, number
            self.kept.append(item)
        return 0

    def _close(self, query: int) -> int:
        self.closed += 1
        return 0


def test_counters_have_english_names_and_are_collected_once_a_moment() -> None:
    stub = StubPdh(GPUEngine=[("a", 0, 1.5), ("b", 1, 250.0), ("c", 0xC0000BBA, 3.0), (None, 0, 1)])
    counters = Counters((ENGINES, POWER), stub)
    assert counters.read(ENGINES, 1) is None, "a rate needs two collections"
    with pytest.raises(CounterError, match="^no counter “Energy Meter”$"):
        counters.read(POWER, 1)
    assert counters.read(ENGINES, 2) == {"a": 1.5, "b": 250.0}, (
        "only items of status 0 and 1, and without a cap"
    )
    stub.values["GPUEngine"] = [("new", 0, 7.0)]
    assert counters.read(ENGINES, 2) == {"a": 1.5, "b": 250.0}, "still the same moment"
    assert counters.read(ENGINES, 3) == {"new": 7.0}
    assert (stub.paths, stub.collects) == ([ENGINES, POWER], 3)
    del counters
    assert stub.closed == 1


def test_an_array_that_grows_while_it_is_read_is_read_again() -> None:
    stub = StubPdh(GPUEngine=[("a", 0, 1.5)])
    counters = Counters([ENGINES], stub)
    counters.read(ENGINES, 1)
    stub.grows = 2
    assert counters.read(ENGINES, 2) == {"a": 1.5}
    stub.grows = 9
    with pytest.raises(CounterError, match="0x800007D2"):
        counters.read(ENGINES, 3)


def test_a_failed_collection_is_repeated_at_the_next_moment() -> None:
    stub = StubPdh(GPUEngine=[])
    counters = Counters([ENGINES], stub)
    counters.read(ENGINES, 1)
    stub.collect_status = 0x800007D5
    with pytest.raises(CounterError, match="^status 0x800007D5$"):
        counters.read(ENGINES, 2)
    stub.collect_status = 0
    assert counters.read(ENGINES, 3) == {}


def test_a_library_without_the_functions_is_a_reason() -> None:
    with pytest.raises(CounterError, match="^pdh.dll: "):
        Counters([ENGINES], ctypes.pythonapi).read(ENGINES, 1)


@pytest.mark.skipif(sys.platform != "win32", reason="reads the counters")
def test_this_windows_tells_existing_from_missing_counters() -> None:
    uptime = r"\System\System Up Time"
    counters = Counters([uptime, r"\No Such Object(*)\Power"])
    assert counters.read(uptime, 1) is None
    with pytest.raises(CounterError, match="no counter “No Such Object”"):
        counters.read(r"\No Such Object(*)\Power", 1)
