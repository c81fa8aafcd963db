"""A benchmark's figures as text, the same on the page and the command line."""

from __future__ import annotations

from playground.formatting import NA, number
from playground.runs.benchmark_record import BenchmarkRecord


def cells(record: BenchmarkRecord) -> list[str]:
    """Lane, prompt tokens, TTFT, tokens/s, its p5–p95, TPOT, J/token, bandwidth share, load."""
    share = record.roof_share
    low, high = (number(figures.decode_tps, ".1f") for figures in (record.p5, record.p95))
    return [
        record.lane,
        number(record.prompt_tokens, ","),
        number(record.ttft_ms, ".0f"),
        number(record.decode_tps, ".1f"),
        NA if record.decode_tps is None else f"{low}–{high}",
        number(record.tpot_ms, ".2f"),
        number(record.j_per_token, ".3f"),
        NA if share is None else f"{100 * share:.0f} %",
        number(record.load_s, ".1f"),
    ]
