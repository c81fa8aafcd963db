"""Entries of JSON that somebody hands us: what is no such file gets a sentence."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from playground.errors import BadInput
from playground.history.entry import BENCH, ROWS, RUN, Entry, bare
from playground.history.export import FORMAT, VERSION

FIX = "Import what `history export --format json`, `ask --json` or `bench --json` wrote."
NUMBERS = (
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
)
TEXTS = (
    "model",
    "mode",
    "status",
    "text",
    "precision",
    "device_used",
    "device_name",
    "library_version",
    "finish_reason",
    "device_proof",
)
MAX_MAGNITUDE = 1e300
MAX_NAME_LENGTH = 300  # characters of a lane's name


def import_json(text: str) -> list[Entry]:
    """The entries of an export, or of a bare result; figures stay exactly what they are.

    Raises BadInput with what is wrong and where.
    """
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"This is no JSON: {error}.", FIX) from error
    several = found if isinstance(found, list) else [found]
    if not several:
        raise BadInput("This file holds no run.", FIX)
    return [_entry(each) for each in several]


def _entry(found: Any) -> Entry:
    if not isinstance(found, dict):
        raise _wrong("it is no object")
    if found.get("format") != FORMAT:
        entry = bare(found)
    elif found.get("version") != VERSION:
        raise BadInput("A newer version of this program wrote this file.", "Update the program.")
    else:
        kind, made_at = found.get("kind"), found.get("made_at")
        if kind not in (RUN, BENCH):
            raise _wrong("its kind is neither “run” nor “bench”")
        settings, gauges = found.get("settings"), found.get("gauges")
        if not isinstance(settings, dict) or not isinstance(gauges, list):
            raise _wrong("its settings or gauges are missing")
        if made_at is not None and not _is_time(made_at):
            raise _wrong("its time is none")
        entry = Entry(kind, found.get("result", {}), settings, gauges, made_at)
    _check(entry)
    return entry


def _check(entry: Entry) -> None:
    """Every record must be one that the tables, the charts and the comparison can take."""
    name = ROWS[entry.kind]
    records = entry.result.get(name) if isinstance(entry.result, dict) else None
    if not isinstance(records, list) or not records:
        raise _wrong(f"it has no “{name}”")
    for place, record in enumerate(records, 1):
        where = f"{name}, number {place}"
        if not isinstance(record, dict):
            raise _wrong(f"{where}: it is no object")
        lane = record.get("lane")
        if not isinstance(lane, str) or not 0 < len(lane) <= MAX_NAME_LENGTH:
            raise _wrong(f"{where}: it names no lane")
        _check_record(record, where)
    for text in ("prompt", "system", "model", "mode"):
        if not isinstance(entry.settings.get(text), str | None):
            raise _wrong(f"its {text} is no text")
    for text in ("model", "mode"):
        if not isinstance(entry.said(text), str | None):
            raise _wrong(f"its {text} is no text")


def _check_record(record: dict[str, Any], where: str) -> None:
    for name in NUMBERS:
        value = record.get(name)
        if value is not None and not _is_number(value):
            raise _wrong(f"{where}: “{name}” is no number")
    for name in TEXTS:
        if not isinstance(record.get(name), str | None):
            raise _wrong(f"{where}: “{name}” is no text")
    for name in ("weights", "error"):
        if not isinstance(record.get(name), dict | None):
            raise _wrong(f"{where}: “{name}” is no object")
        if name == "error" and not all(isinstance(v, str) for v in (record[name] or {}).values()):
            raise _wrong(f"{where}: “error” is no text")
    ids = record.get("token_ids")
    if ids is not None and not (isinstance(ids, list) and all(type(id) is int for id in ids)):
        raise _wrong(f"{where}: “token_ids” are no whole numbers")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < MAX_MAGNITUDE  # NaN is not


def _is_time(value: Any) -> bool:
    """As the store writes it, so that times can be sorted as text."""
    if not isinstance(value, str) or not re.fullmatch(r"[-\d]{10}T[:\d]{8}\.\d{3}Z", value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _wrong(what: str) -> BadInput:
    return BadInput(f"This is no run or bench of the playground: {what}.", FIX)
