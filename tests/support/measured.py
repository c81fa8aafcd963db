"""Results as they stand in a file, and entries of the history made of them."""

from __future__ import annotations

from typing import Any

from playground.history import BENCH, RUN, Entry
from playground.history.entry import parse_entry


def record(lane: str = "openvino-genai:CPU:int8", **changes: Any) -> dict[str, Any]:
    """A finished lane's record; changes: fields with another value."""
    backend, device, precision = lane.split(":")
    return {
        "lane": lane,
        "backend": backend,
        "device": device,
        "device_used": device,
        "device_name": "A processor",
        "precision": precision,
        "weights": {"recipe": f"{precision} asym, per channel", "bytes": 10, "read_bytes": 9},
        "library_version": "2026.4.1",
        "model": "smollm2-135m",
        "mode": "together",
        "status": "ok",
        "text": "The capital of France is Paris.",
        "token_ids": [504, 3575, 282, 4649, 314, 7042, 30, 2],
        "finish_reason": "stop",
        "prompt_tokens": 37,
        "new_tokens": 8,
        "load_s": 1.25,
        "ttft_ms": 35.123456789,
        "ttft_user_ms": 36.5,
        "decode_tps": 41.2,
        "tpot_ms": 1000 / 41.2,
        "itl_p50_ms": 24.0,
        "itl_p95_ms": 26.0,
        "peak_rss_mb": 612.4,
        "bandwidth_gbs": None,
        "energy_j": None,
        "device_busy_pct": None,
        "error": None,
        **changes,
    }


def result(*records: dict[str, Any], mode: str = "together") -> dict[str, Any]:
    """What `ask --json` prints."""
    lanes = [{**lane, "mode": mode} for lane in records or (record(),)]
    return {"mode": mode, "model": "smollm2-135m", "prompt_tokens": 37, "lanes": lanes}


def settings(prompt: str = "What is the capital of France?", **changes: Any) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "system": "",
        "mode": "together",
        "model": "smollm2-135m",
        "max_new_tokens": 256,
        "temperature": 0.0,
        **changes,
    }


def run(*records: dict[str, Any], mode: str = "together", entry_id: int | None = None) -> Entry:
    content = {"result": result(*records, mode=mode), "settings": settings(mode=mode)}
    return parse_entry(RUN, content, "2026-11-20T12:34:56.789Z", entry_id)


def entry(
    result: dict[str, Any],
    settings: dict[str, Any] | None = None,
    gauges: list[object] | None = None,
    made_at: str | None = None,
) -> Entry:
    """A run or a benchmark, whichever the result is of."""
    content = {"result": result, "settings": settings or {}, "gauges": gauges or []}
    return parse_entry(BENCH if "results" in result else RUN, content, made_at)


def bench(*records: dict[str, Any]) -> dict[str, Any]:
    """What `bench --json` prints."""
    settings = {"model": "smollm2-135m", "mode": "in-turn", "runs": 3}
    return {"settings": settings, "machine": {"cores": 2}, "results": list(records)}
