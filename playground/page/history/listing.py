"""The list of the History tab, as plain values; and how its texts name modes and lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from playground.errors import BadInput
from playground.formatting import number
from playground.history import BENCH, Entry, Summary
from playground.lanes import lane as lanes
from playground.page.compare import view
from playground.page.sessions import HistoryView
from playground.runs.record import IN_TURN, TOGETHER

KINDS = {"run": "Run", BENCH: "Benchmark"}
MODES = {TOGETHER: "Together", IN_TURN: "In turn"}
EMPTY = "Nothing is kept yet. Every run and every benchmark is, as soon as it has ended."

Json = dict[str, Any]


def nothing(why: str, *, bad: bool = False) -> Json:
    """No list, and the reason. owner: whether this visitor may search and delete."""
    return {"owner": False, "why": why, "bad": bad, "rows": [], "more": False, "first": None}


def board(found: Sequence[Summary], total: int, looking: HistoryView, notice: str) -> Json:
    """As many as are shown. found: at least one more, where there is; total: all that are kept;
    notice: what a person should know of the file."""
    first = looking.first
    others = [each for each in found if first is None or each.id != first.id]
    why = "" if others else nothing_found(looking)
    return {
        "owner": True,
        "why": notice or why,
        "bad": bool(notice),
        "rows": [row(each) for each in others[: looking.shown]],
        "more": len(others) > looking.shown,
        "total": total,
        "first": heading(first) if first else None,
    }


def nothing_found(looking: HistoryView) -> str:
    if looking.sought.strip():
        return f"No prompt, model or lane has “{looking.sought.strip()}” in it."
    return "There is no other to compare it with." if looking.first else EMPTY


def row(found: Summary) -> Json:
    shared = found.mode == TOGETHER and len(found.lanes) > 1
    return {
        "id": found.id,
        "made_at": found.made_at,
        "kind": KINDS[found.kind],
        "mode": mode(found.mode, shared),
        "model": model(found.model),
        "prompt": " ".join(found.prompt.split()),
        "lanes": [
            {
                "lane": lane(each.lane),
                "tps": number(each.decode_tps, ".1f"),
                "at": found.at(each),
                "state": each.status or "",
                "label": state(each.status),
            }
            for each in found.lanes
        ],
    }


def heading(entry: Entry) -> Json:
    """What names one of them."""
    return {
        "id": entry.id,
        "made_at": entry.made_at,
        "kind": KINDS[entry.kind],
        "mode": mode(entry.mode, entry.contended),
        "model": model(entry.model),
    }


def mode(name: str | None, contended: bool) -> str:
    """ "In turn", or "Together, figures contended"."""
    told = MODES.get(name or "", name or "")
    return f"{told}, figures contended" if contended else told


def model(name: str | None) -> str:
    """What a person calls it; "" where none was run."""
    return "" if name in (None, "none") else view.model_label(str(name), paths=False)


def lane(name: str) -> str:
    """ "OpenVINO GenAI · CPU · int8"; of one that this version does not know, its name."""
    try:
        return view.label(lanes.parse(name))
    except BadInput:
        return name


def state(status: str | None) -> str:
    """ "done", "stopped by you"."""
    return view.STATES.get(status or "", status or "")
