"""A benchmark's figures as a person reads them; page and command line show the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playground.formatting import number


def cells(row: Mapping[str, Any]) -> list[str]:
    """Lane, prompt tokens, TTFT, tokens/s, its p5–p95, TPOT, J/token, share of the roof, load."""
    roof = row["roof_share"]
    low, high = (number(row[name]["decode_tps"], ".1f") for name in ("p5", "p95"))
    return [
        row["lane"],
        f"{row['prompt_tokens']:,}",
        number(row["ttft_ms"], ".0f"),
        number(row["decode_tps"], ".1f"),
        "n/a" if row["decode_tps"] is None else f"{low}–{high}",
        number(row["tpot_ms"], ".2f"),
        number(row["j_per_token"], ".3f"),
        "n/a" if roof is None else f"{100 * roof:.0f} %",
        number(row["load_s"], ".1f"),
    ]
