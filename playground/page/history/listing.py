"""The list of the History tab, as plain values; and how the tab writes modes, models and lanes."""

from __future__ import annotations

from collections.abc import Sequence

from playground.errors import BadInput
from playground.formatting import number
from playground.history import BENCH, RUN, Entry, Summary
from playground.lanes.lane import parse
from playground.page.components import Json
from playground.page.labels import STATES, lane_label, model_label
from playground.page.sessions import HistoryView
from playground.runs.record import IN_TURN, TOGETHER

KINDS = {RUN: "Run", BENCH: "Benchmark"}
MODES = {TOGETHER: "Together", IN_TURN: "In turn"}
EMPTY = "Nothing yet. Every run and every benchmark is added as soon as it has ended."


def unavailable(why: str, *, error: bool = False) -> Json:
    """No list, and the reason."""
    return {
        "owner": False,
        "why": why,
        "error": error,
        "rows": [],
        "more": False,
        "total": 0,
        "comparing": None,
    }


def listing(matches: Sequence[Summary], total: int, view: HistoryView, warning: str) -> Json:
    """What history.js shows: the matches, up to the view's limit.

    matches: one more than are shown, if there is one. total: the number of all entries.
    """
    comparing = view.comparing
    rows = [match for match in matches if comparing is None or match.id != comparing.id]
    return {
        "owner": True,
        "why": warning or ("" if rows else no_match(view)),
        "error": bool(warning),
        "rows": [row(match) for match in rows[: view.limit]],
        "more": len(rows) > view.limit,
        "total": total,
        "comparing": heading(comparing) if comparing else None,
    }


def no_match(view: HistoryView) -> str:
    """Why the list is empty."""
    if view.query.strip():
        return f"No prompt, model or lane contains “{view.query.strip()}”."
    return "There is no other entry to compare it with." if view.comparing else EMPTY


def row(summary: Summary) -> Json:
    """One entry of the list; `at`: the prompt length of a benchmark's rate."""
    contended = summary.mode == TOGETHER and len(summary.lanes) > 1
    return {
        "id": summary.id,
        "made_at": summary.made_at,
        "kind": KINDS[summary.kind],
        "mode": mode(summary.mode, contended),
        "model": model(summary.model),
        "prompt": " ".join(summary.prompt.split()),
        "lanes": [
            {
                "lane": lane(record.lane),
                "tps": number(record.decode_tps, ".1f"),
                "at": summary.at(record),
                "state": record.status or "",
                "label": state(record.status),
            }
            for record in summary.lanes
        ],
    }


def heading(entry: Entry) -> Json:
    """What identifies an entry."""
    return {
        "id": entry.id,
        "made_at": entry.made_at,
        "kind": KINDS[entry.kind],
        "mode": mode(entry.mode, entry.contended),
        "model": model(entry.model),
    }


def mode(name: str | None, contended: bool) -> str:
    """ "In turn", or "Together, figures contended"."""
    label = MODES.get(name or "", name or "")
    return f"{label}, figures contended" if contended else label


def model(name: str | None) -> str:
    """The model's label; "" if there was none."""
    return "" if name in (None, "none") else model_label(str(name), paths=False)


def lane(name: str) -> str:
    """ "OpenVINO GenAI · CPU · int8"; its name if this version does not know the lane."""
    try:
        return lane_label(parse(name))
    except BadInput:
        return name


def state(status: str | None) -> str:
    """ "done", "stopped"."""
    return STATES.get(status or "", status or "")
