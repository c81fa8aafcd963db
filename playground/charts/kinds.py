"""Which charts there are, and the data of each; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from playground.charts.view import Bar, Key, View, bar, bars, number
from playground.history.compare import sharing
from playground.runs.benchmark_record import BenchmarkRecord, RawRun
from playground.runs.metrics import MS
from playground.runs.record import Record

LATENCY, SPEED, TTFT, ENERGY = "latency", "tokens-per-second", "ttft", "j-per-token"
ALONG, SHARING, MEMORY = "along-the-answer", "sharing", "memory-roof"
LOWER, HIGHER = "lower is better", "higher is better"
Data = Mapping[Key, Any]  # Bar or None; for ALONG list[float] or None


@dataclass(frozen=True)
class Chart:
    """A chart that can be drawn.

    title: as in the picture; about: what it shows; data: by lane and prompt length, None where it
    is unknown; note: its own small print; line: a value to compare all bars with, and its
    description.
    """

    name: str
    title: str
    about: str
    better: str
    unit: str
    data: Callable[[View, View | None], Data]
    note: str = ""
    line: tuple[float, Callable[[View], str]] | None = None

    def has_data(self, view: View, other: View | None) -> bool:
        return any(value is not None for value in self.data(view, other).values())


def latencies(view: View, other: View | None) -> Data:
    """Time per token by prompt length, which is an axis, so only where the length is known."""
    by_key = bars(view, "tpot_ms") if view.is_benchmark else {}
    return {key: bar for key, bar in by_key.items() if key[1]}


def figures(name: str) -> Callable[[View, View | None], Data]:
    """The data of a chart that shows one figure of the records."""
    return lambda view, other: bars(view, name)


def bandwidth_utilization(view: View, other: View | None) -> Data:
    """Percent of the copy bandwidth, with the spread of the bandwidth."""
    return {key: utilization(record) for key, record in view.records.items()}


def utilization(record: Record) -> Bar | None:
    if not isinstance(record, BenchmarkRecord):
        return None
    share, bandwidth = number(record.roof_share), number(record.bandwidth_gbs)
    if share is None or not bandwidth:
        return None
    return bar(record, "bandwidth_gbs", 100 * share / bandwidth)


def copy_bandwidth(view: View) -> str:
    copy = view.machine.memory_copy
    bandwidth = number(copy.copy_gbs) if copy else None
    return "the memory’s copy bandwidth" + (f", {bandwidth:.1f} GB/s" if bandwidth else "")


def along(view: View, other: View | None) -> Data:
    """The gaps between tokens; only a benchmark has its raw times."""
    return {
        key: gaps(record.runs) if isinstance(record, BenchmarkRecord) else None
        for key, record in view.records.items()
    }


def gaps(runs: Sequence[RawRun]) -> list[float] | None:
    """Each gap between two tokens in ms, the median of the runs; None without any."""
    times = [run.t_ns for run in runs if None not in map(number, run.t_ns)]
    medians = [
        median((run[place] - run[place - 1]) / MS for run in times if len(run) > place)
        for place in range(1, max(map(len, times), default=0))
    ]
    return medians or None


def shared(view: View, other: View | None) -> Data:
    """Tokens/s together as percent of those in turn, of the lanes that both results have."""
    if other is None or not comparable(view, other):
        return {}
    return {
        (row.lane, row.prompt_tokens): None if row.ratio is None else Bar(100 * row.ratio)
        for row in sharing(view.entry, other.entry)
    }


def comparable(a: View, b: View) -> bool:
    """Whether both were measured with equal lengths of answers and, as far as known, on one
    machine."""
    cpus = [view.machine.cpu for view in (a, b)]
    same_machine = None in cpus or cpus[0] == cpus[1]
    return same_machine and a.settings.new_tokens == b.settings.new_tokens


KINDS = {
    kind.name: kind
    for kind in (
        Chart(
            LATENCY,
            "Next-token latency (TPOT)",
            "Milliseconds per token after the first (TPOT) at each prompt length; for "
            "Phi-3-mini beside published figures of other machines.",
            LOWER,
            "ms per token",
            latencies,
        ),
        Chart(
            SPEED,
            "Tokens per second",
            "The decode rate of each lane, after its first token.",
            HIGHER,
            "tokens/s",
            figures("decode_tps"),
        ),
        Chart(
            TTFT,
            "Time to first token",
            "How long each lane takes from having the prompt to its first token.",
            LOWER,
            "ms",
            figures("ttft_ms"),
        ),
        Chart(
            ENERGY,
            "Energy per token",
            "Joules of a whole answer, including prefill, divided by its tokens.",
            LOWER,
            "J per token",
            figures("j_per_token"),
        ),
        Chart(
            ALONG,
            "Token latency along the answer",
            "The time between each token and the previous one, from the first to the last.",
            LOWER,
            "ms since the previous token",
            along,
        ),
        Chart(
            SHARING,
            "Speed while sharing the machine",
            "Each lane's tokens/s with all lanes together, as a share of its tokens/s alone.",
            HIGHER,
            "% of its tokens/s in turn",
            shared,
            line=(100.0, lambda view: "as fast as alone"),
        ),
        Chart(
            MEMORY,
            "Memory bandwidth utilization",
            "The weights that decoding reads per second, over the memory's copy bandwidth.",
            HIGHER,
            "% of the copy bandwidth",
            bandwidth_utilization,
            "Bytes of weights read per token × tokens/s, over this machine’s copy bandwidth: bytes "
            "read and written per second while all cores copy memory, as STREAM measures it. "
            "Decoding only reads, and caches help, so values above 100 % are possible. A "
            "device with its own memory has another bandwidth: n/a.",
            (100.0, copy_bandwidth),
        ),
    )
}
