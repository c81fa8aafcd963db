"""Which charts there are, and what each needs to know of a result. No picture is drawn here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from playground.charts.view import Bar, Key, View, bar, bars, number
from playground.history.compare import sharing
from playground.runs.benchmark_record import BenchmarkRecord, RawRun
from playground.runs.metrics import MS
from playground.runs.record import Record

LATENCY, SPEED, TTFT, ENERGY = "latency", "tokens-per-second", "ttft", "j-per-token"
ALONG, SHARING, ROOF = "along-the-answer", "sharing", "memory-roof"
LOWER, HIGHER = "lower is better", "higher is better"


@dataclass(frozen=True)
class Chart:
    """One that can be drawn. title: as it stands in the picture; about: what it shows."""

    name: str
    title: str
    about: str


@dataclass(frozen=True)
class Kind:
    """data: what is drawn, None where it is not known; note: its own small print; line: what to
    compare all bars with, and what it is."""

    chart: Chart
    better: str
    unit: str
    data: Callable[[View, View | None], dict[Key, Any]]
    note: str = ""
    line: tuple[float, Callable[[View], str]] | None = None


def latencies(view: View, _: View | None) -> dict[Key, Any]:
    """Of rows that tell their prompt's length: it is an axis."""
    found = bars(view, "tpot_ms") if view.is_bench else {}
    return {key: each for key, each in found.items() if key[1]}


def of_any(figure: str) -> Callable[[View, View | None], dict[Key, Any]]:
    return lambda view, _: bars(view, figure)


def roof(view: View, _: View | None) -> dict[Key, Any]:
    """Percent, with the spread of the bandwidth that it is a share of."""
    return {key: of_roof(record) for key, record in view.records.items()}


def of_roof(record: Record) -> Bar | None:
    if not isinstance(record, BenchmarkRecord):
        return None
    share, read = number(record.roof_share), number(record.bandwidth_gbs)
    return bar(record, "bandwidth_gbs", 100 * share / read) if share is not None and read else None


def copy_bandwidth(view: View) -> str:
    copy = view.machine_record.memory_copy
    bandwidth = number(copy.copy_gbs) if copy else None
    return "the memory’s copy bandwidth" + (f", {bandwidth:.1f} GB/s" if bandwidth else "")


def along(view: View, _: View | None) -> dict[Key, Any]:
    """Each gap between two tokens, ms, the median of the runs; only a bench has its raw times."""
    return {
        key: gaps(record.runs) if isinstance(record, BenchmarkRecord) else None
        for key, record in view.records.items()
    }


def gaps(runs: Sequence[RawRun]) -> list[float] | None:
    known = [run.t_ns for run in runs if all(map(is_time, run.t_ns))]
    found = [
        median((each[place] - each[place - 1]) / MS for each in known if len(each) > place)
        for place in range(1, max(map(len, known), default=0))
    ]
    return found or None


def is_time(value: int) -> bool:
    return number(value) is not None


def shared(view: View, other: View | None) -> dict[Key, Any]:
    """Tokens/s Together over those In turn, percent; of the lanes that are in both results."""
    if other is None or not same_setting(view, other):
        return {}
    found = sharing(view.entry, other.entry)
    return {
        (each.lane, each.prompt_tokens): None if each.ratio is None else Bar(100 * each.ratio)
        for each in found
    }


def same_setting(a: View, b: View) -> bool:
    """Whether nothing tells that they were measured on two machines or with other lengths."""
    machines = [view.machine_record.cpu for view in (a, b)]
    tokens = [view.entry.setting("new_tokens") if view.is_bench else None for view in (a, b)]
    return (None in machines or machines[0] == machines[1]) and tokens[0] == tokens[1]


KINDS = {
    kind.chart.name: kind
    for kind in (
        Kind(
            Chart(
                LATENCY,
                "Next-token latency (TPOT)",
                "Milliseconds a token after the first (TPOT) at each prompt length; for "
                "Phi-3-mini beside published figures of other machines.",
            ),
            LOWER,
            "ms a token",
            latencies,
        ),
        Kind(
            Chart(
                SPEED, "Tokens per second", "The decode rate of each lane, after its first token."
            ),
            HIGHER,
            "tokens/s",
            of_any("decode_tps"),
        ),
        Kind(
            Chart(
                TTFT,
                "Time to first token",
                "How long each lane takes from having the prompt to its first token.",
            ),
            LOWER,
            "ms",
            of_any("ttft_ms"),
        ),
        Kind(
            Chart(
                ENERGY,
                "Energy of a token",
                "Joules of a whole answer, prefill included, over its tokens.",
            ),
            LOWER,
            "J a token",
            of_any("j_per_token"),
        ),
        Kind(
            Chart(
                ALONG,
                "Token latency along the answer",
                "How long each token took after the one before, from the first to the last.",
            ),
            LOWER,
            "ms since the token before",
            along,
        ),
        Kind(
            Chart(
                SHARING,
                "What sharing the machine costs",
                "Each lane's tokens/s with all lanes together, as a share of those it has alone.",
            ),
            HIGHER,
            "% of its tokens/s in turn",
            shared,
            line=(100.0, lambda view: "as fast as alone"),
        ),
        Kind(
            Chart(
                ROOF,
                "Share of the memory roof",
                "The weights that decoding reads a second, over the memory's copy bandwidth.",
            ),
            HIGHER,
            "% of the copy bandwidth",
            roof,
            "Bytes of weights a token reads × tokens/s, over this machine’s copy bandwidth: bytes "
            "read and written a second while all cores copy memory, as STREAM measures it. Decode "
            "only reads, and caches help: somewhat more than 100 % is possible. A device with "
            "memory of its own has another roof: n/a.",
            (100.0, copy_bandwidth),
        ),
    )
}


def knows(found: Iterable[Any]) -> bool:
    """Whether there is anything to draw."""
    return any(each is not None for each in found)
