"""The history: a store of runs and benchmarks, their export, import and comparison."""

from playground.history.compare import Comparison, ComparisonRow, Sharing, compare
from playground.history.entry import BENCH, RUN, Entry, Summary
from playground.history.export import to_csv, to_json, to_markdown
from playground.history.imports import import_json
from playground.history.store import History
from playground.history.writer import HistoryWriter

__all__ = [
    "BENCH",
    "RUN",
    "Comparison",
    "Entry",
    "History",
    "HistoryWriter",
    "ComparisonRow",
    "Sharing",
    "Summary",
    "compare",
    "import_json",
    "to_csv",
    "to_json",
    "to_markdown",
]
