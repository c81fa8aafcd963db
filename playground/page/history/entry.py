"""An opened run or benchmark of the History tab, as plain values."""

from __future__ import annotations

from typing import Any

from playground.formatting import NA, memory_size, number
from playground.history import RUN, Entry, to_markdown
from playground.page.compare import view
from playground.page.history import export as history_export
from playground.page.history.gauges import series
from playground.page.history.listing import heading, lane, state
from playground.runs.agreement import FIRST, Agreement, agreement, difference, reference_of
from playground.runs.benchmark_record import BenchmarkRecord, BenchmarkResult, Result
from playground.runs.record import Failure, Record, RunResult

SAID = ("model", "mode", "lanes", "prompt", "system")  # these have places of their own
SPREAD = ("ttft_ms", "tpot_ms", "decode_tps", "j_per_token")

Json = dict[str, Any]


def board(entry: Entry, differing: str = "") -> Json:
    """Everything of it. differing: the lane whose answer is marked where it differs."""
    return {
        **heading(entry),
        "prompt": entry.prompt,
        "system": entry.setting("system") or "",
        "settings": settings(entry),
        "gauges": series(entry.gauges),
        "lanes": [lane_of(each) for each in entry.records] if entry.kind == RUN else [],
        "bench": benchmark_rows(entry.result),
        "agreement": agreeing(entry, differing) if entry.kind == RUN else None,
        "repeatable": entry.kind == RUN and bool(entry.prompt),
        "charts": history_export.charts(entry),
        "markdown": to_markdown([entry]),
    }


def settings(entry: Entry) -> list[list[str]]:
    """Name and value, but for what the board shows elsewhere."""
    inner = entry.result.settings.as_json() if isinstance(entry.result, BenchmarkResult) else {}
    told = {**inner, **entry.settings.as_json()}
    found = [[name, plain(value)] for name, value in told.items() if name not in SAID]
    if isinstance(entry.result, RunResult) and entry.result.power_source:
        found.append(["power source", entry.result.power_source])
    return [[name.replace("_", " "), value] for name, value in found]


def plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return NA if value is None else str(value)


def lane_of(record: Record) -> Json:
    """A lane's record: what it is, its figures, its answer or what was wrong."""
    error, status = record.error or Failure(), record.status
    parts = record.lane.split(":")
    return {
        "lane": record.lane,
        "engine": lane(record.lane).partition(" · ")[0],
        "device": record.device_used or (parts[1] if len(parts) > 1 else ""),
        "precision": record.precision or "",
        "hardware": dotted(record.device_name, record.library_version),
        "recipe": record.weights.recipe or "",
        "state": status or "",
        "label": state(status),
        "detail": view.REASONS.get(record.finish_reason or "", ""),
        "tps": number(record.decode_tps, ".1f"),
        "figures": figures(record),
        "proof": proof(record),
        "answer": record.text or "",
        "message": error.message,
        "fix": error.fix,
    }


def dotted(*texts: Any) -> str:
    return " · ".join(str(each) for each in texts if each)


def figures(record: Record) -> list[list[str]]:
    def told(name: str, form: str, unit: str = "") -> str:
        value = getattr(record, name)
        return NA if value is None else f"{value:{form}} {unit}".rstrip()

    return [
        ["TTFT", told("ttft_ms", ",.0f", "ms")],
        ["TPOT", told("tpot_ms", ",.1f", "ms")],
        ["ITL p95", told("itl_p95_ms", ",.1f", "ms")],
        ["Prompt", told("prompt_tokens", ",", "tokens")],
        ["Answer", told("new_tokens", ",", "tokens")],
        ["Load", told("load_s", ",.2f", "s")],
        ["Memory", memory_size(record.peak_rss_mb)],
        ["Weights read", told("bandwidth_gbs", ",.1f", "GB/s")],
        ["Energy", told("j_per_token", ",.2f", "J/token")],
        ["Idle before", told("idle_w", ",.1f", "W")],
    ]


def proof(record: Record) -> str:
    """Which device did the work, as the gauges saw it."""
    found, percent = record.device_proof, record.device_busy_pct
    return found or ("" if percent is None else f"device {percent:.0f} % busy")


def benchmark_rows(result: Result) -> list[Json]:
    return (
        [bench_row(each) for each in result.results] if isinstance(result, BenchmarkResult) else []
    )


def bench_row(record: BenchmarkRecord) -> Json:
    """One lane at one prompt length: medians, each with p5–p95."""
    return {
        "lane": lane(record.lane),
        "prompt_tokens": number(record.prompt_tokens, ","),
        "new_tokens": number(record.new_tokens, ","),
        "figures": [
            [number(getattr(record, name), form(name)), spread(record, name)] for name in SPREAD
        ],
        "load": number(record.load_s, ".2f"),
        "memory": memory_size(record.peak_rss_mb),
        "state": record.status or "",
        "label": state(record.status),
        "error": record.error.text if record.error else "",
    }


def form(figure: str) -> str:
    return ",.2f" if figure == "j_per_token" else ",.1f"


def spread(record: BenchmarkRecord, figure: str) -> str:
    """ "24.1–26.0", or "" where it is unknown."""
    ends = [getattr(figures, figure) for figures in (record.p5, record.p95)]
    return "" if None in ends else "–".join(f"{each:{form(figure)}}" for each in ends)


def agreeing(entry: Entry, differing: str) -> Json | None:
    """Where lanes leave the reference; None when nothing can be compared."""
    found = agreement(entry.records, entry.temperature)
    reference = reference_of(entry.records, entry.temperature)
    if not found or reference is None:
        return None
    rows = [{"lane": each.lane, "label": lane(each.lane), "text": told(each)} for each in found]
    chosen = [each for each in entry.records if each.lane == differing]
    if not chosen or differing not in [each.lane for each in found]:
        return {"reference": lane(reference.lane), "rows": rows, "differing": "", "pieces": []}
    pieces = difference(reference.text or "", chosen[0].text or "")
    shown = [list(each) for each in pieces]
    label = lane(reference.lane)
    return {"reference": label, "rows": rows, "differing": differing, "pieces": shown}


def told(found: Agreement) -> str:
    """ "leaves it at token 13; 57 of the first 64 tokens are the same"."""
    if found.leaves_at is None:
        return f"agrees in all {found.compared:,} tokens that both have"
    of = f"{found.agreeing} of the first {min(FIRST, found.counted)} tokens are the same"
    return f"leaves it at token {found.leaves_at + 1:,}; {of}"
