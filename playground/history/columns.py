"""What a table says of a lane: the same columns for CSV, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playground.history.entry import Entry
from playground.runs.metrics import j_per_token

# The names of the record in design.md, after those of the entry that it is part of.
COLUMNS = (
    "run",
    "made_at",
    "kind",
    "model",
    "mode",
    "contended",
    "lane",
    "device_used",
    "device_name",
    "precision",
    "recipe",
    "library_version",
    "status",
    "finish_reason",
    "prompt_tokens",
    "new_tokens",
    "ttft_ms",
    "ttft_user_ms",
    "decode_tps",
    "tpot_ms",
    "itl_p50_ms",
    "itl_p95_ms",
    "load_s",
    "peak_rss_mb",
    "bandwidth_gbs",
    "energy_j",
    "j_per_token",
    "idle_w",
    "device_busy_pct",
    "device_proof",
    "error",
)


def rows(entry: Entry) -> list[dict[str, Any]]:
    """One a record; what is not known is None."""
    return [row(entry, record) for record in entry.records]


def row(entry: Entry, record: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: record.get(name) for name in COLUMNS}
    return {
        **found,
        "run": entry.id,
        "made_at": entry.made_at,
        "kind": entry.kind,
        "model": found["model"] or entry.model,
        "mode": found["mode"] or entry.mode,
        "contended": "yes" if entry.contended else "no",
        "recipe": (record.get("weights") or {}).get("recipe"),
        "j_per_token": energy_of_a_token(record),
        "error": " ".join(filter(None, (record.get("error") or {}).values())) or None,
    }


def energy_of_a_token(record: Mapping[str, Any]) -> float | None:
    """Joules; as the record tells it, or worked out of those of the whole answer."""
    found = record.get("j_per_token")
    if found is not None:
        return float(found)
    return j_per_token(record.get("energy_j"), record.get("new_tokens") or 0)
