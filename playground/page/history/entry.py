"""An opened entry of the History tab, as plain values."""

from __future__ import annotations

from playground.formatting import NA, memory_size, number
from playground.history import RUN, Entry, to_markdown
from playground.page.components import Json
from playground.page.history.export import charts
from playground.page.history.gauges import curves
from playground.page.history.listing import heading, lane, state
from playground.page.labels import FINISH_REASONS
from playground.runs.agreement import FIRST, Agreement, agreement, difference, reference_of
from playground.runs.benchmark_record import BenchmarkRecord, BenchmarkResult, Result
from playground.runs.record import Failure, Record, RunResult

SHOWN_ELSEWHERE = ("model", "mode", "lanes", "prompt", "system")
MEDIANS = ("ttft_ms", "tpot_ms", "decode_tps", "j_per_token")


def entry_value(entry: Entry, differing: str = "") -> Json:
    """What entry.js shows. differing: the lane whose difference from the reference is shown."""
    return {
        **heading(entry),
        "prompt": entry.prompt,
        "system": getattr(entry.settings, "system", None) or "",
        "settings": settings(entry),
        "gauges": curves(entry.gauges),
        "lanes": [lane_value(record) for record in entry.records] if entry.kind == RUN else [],
        "bench": benchmark_rows(entry.result),
        "agreement": agreement_value(entry, differing) if entry.kind == RUN else None,
        "repeatable": entry.kind == RUN and bool(entry.prompt),
        "charts": charts(entry),
        "markdown": to_markdown([entry]),
    }


def settings(entry: Entry) -> list[list[str]]:
    """Name and value of the settings that have no place of their own."""
    inner = entry.result.settings.as_json() if isinstance(entry.result, BenchmarkResult) else {}
    merged = {**inner, **entry.settings.as_json()}
    rows = [[name, plain(value)] for name, value in merged.items() if name not in SHOWN_ELSEWHERE]
    if isinstance(entry.result, RunResult) and entry.result.power_source:
        rows.append(["power source", entry.result.power_source])
    return [[name.replace("_", " "), value] for name, value in rows]


def plain(value: object) -> str:
    """A setting's value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return NA if value is None else str(value)


def lane_value(record: Record) -> Json:
    """A lane of a run."""
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
        "detail": FINISH_REASONS.get(record.finish_reason or "", ""),
        "tps": number(record.decode_tps, ".1f"),
        "figures": figures(record),
        "proof": proof(record),
        "answer": record.text,
        "message": error.message,
        "fix": error.fix,
    }


def dotted(*texts: str | None) -> str:
    """The texts that are there, separated by dots."""
    return " · ".join(str(text) for text in texts if text)


def figures(record: Record) -> list[list[str]]:
    """Name and value of each figure."""

    def value(name: str, form: str, unit: str = "") -> str:
        figure = getattr(record, name)
        return NA if figure is None else f"{figure:{form}} {unit}".rstrip()

    return [
        ["TTFT", value("ttft_ms", ",.0f", "ms")],
        ["TPOT", value("tpot_ms", ",.1f", "ms")],
        ["ITL p95", value("itl_p95_ms", ",.1f", "ms")],
        ["Prompt", value("prompt_tokens", ",", "tokens")],
        ["Answer", value("new_tokens", ",", "tokens")],
        ["Load", value("load_s", ",.2f", "s")],
        ["Memory", memory_size(record.peak_rss_mb)],
        ["Weights read", value("bandwidth_gbs", ",.1f", "GB/s")],
        ["Energy", value("j_per_token", ",.2f", "J/token")],
        ["Idle before", value("idle_w", ",.1f", "W")],
    ]


def proof(record: Record) -> str:
    """Which device did the work, according to the gauges."""
    text, percent = record.device_proof, record.device_busy_pct
    return text or ("" if percent is None else f"device {percent:.0f} % busy")


def benchmark_rows(result: Result) -> list[Json]:
    """The rows of a benchmark; none for a run."""
    return [bench_row(row) for row in result.results] if isinstance(result, BenchmarkResult) else []


def bench_row(record: BenchmarkRecord) -> Json:
    """A lane of a benchmark at one prompt length."""
    return {
        "lane": lane(record.lane),
        "prompt_tokens": number(record.prompt_tokens, ","),
        "new_tokens": number(record.new_tokens, ","),
        "figures": [
            [number(getattr(record, name), form(name)), spread(record, name)] for name in MEDIANS
        ],
        "load": number(record.load_s, ".2f"),
        "memory": memory_size(record.peak_rss_mb),
        "state": record.status or "",
        "label": state(record.status),
        "error": record.error.text if record.error else "",
    }


def form(figure: str) -> str:
    """The format of a figure's value."""
    return ",.2f" if figure == "j_per_token" else ",.1f"


def spread(record: BenchmarkRecord, figure: str) -> str:
    """ "24.1–26.0" from p5 and p95; "" if they are missing."""
    ends = [getattr(figures, figure) for figures in (record.p5, record.p95)]
    return "" if None in ends else "–".join(f"{end:{form(figure)}}" for end in ends)


def agreement_value(entry: Entry, differing: str) -> Json | None:
    """Where answers deviate from the reference; None if nothing can be compared.

    differing: the lane whose difference is shown, in pieces of (operation, text); "" for none.
    """
    agreements = agreement(entry.records, entry.temperature)
    reference = reference_of(entry.records, entry.temperature)
    if not agreements or reference is None:
        return None
    pieces: list[list[str]] = []
    chosen = [record for record in entry.records if record.lane == differing]
    if chosen and differing in [agreement.lane for agreement in agreements]:
        texts = reference.text, chosen[0].text
        pieces = [list(piece) for piece in difference(*texts)]
    else:
        differing = ""
    rows = [
        {"lane": agreement.lane, "label": lane(agreement.lane), "text": agreement_text(agreement)}
        for agreement in agreements
    ]
    return {
        "reference": lane(reference.lane),
        "rows": rows,
        "differing": differing,
        "pieces": pieces,
    }


def agreement_text(agreement: Agreement) -> str:
    """ "deviates at token 13; 57 of the first 64 tokens are the same"."""
    if agreement.leaves_at is None:
        return f"agrees in all {agreement.compared:,} tokens that both have"
    share = f"{agreement.agreeing} of the first {min(FIRST, agreement.counted)} tokens are the same"
    return f"deviates at token {agreement.leaves_at + 1:,}; {share}"
