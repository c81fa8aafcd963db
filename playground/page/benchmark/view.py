"""What the Benchmark tab shows of a result, as plain values."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from playground.bench.plan import Plan
from playground.bench.table import cells
from playground.formatting import number
from playground.gauges.power_source import PowerSource
from playground.history import to_markdown
from playground.history.entry import bare
from playground.lanes.lane import parse
from playground.page.benchmark.charts import ChartImages
from playground.page.compare import view
from playground.page.compare.view import NA
from playground.page.jobs import WORKING
from playground.runs.request import IN_TURN, TOGETHER

MODES = {IN_TURN: "In turn, each alone", TOGETHER: "Together, a race"}
Json = dict[str, Any]


def result(found: Json | None, charts: Sequence[ChartImages], state: str, *, owner: bool) -> Json:
    """The table and all that belongs to it; nothing but the rows while it grows.

    owner: may save it, and read what names folders of this machine.
    """
    if found is None:
        return {"owner": owner, "groups": []}
    ended = state != WORKING
    settings = found["settings"]
    contended = settings["mode"] == TOGETHER and len(settings["lanes"]) > 1
    return {
        "owner": owner,
        "rate": "tok/s, contended" if contended else "tok/s",
        "groups": list(groups(found["results"], owner=owner, ended=ended)),
        "settings": of_settings(settings, contended=contended),
        "machine": of_machine(found["machine"]) if ended else [],
        "charts": [chart(each) for each in charts],
        "markdown": to_markdown([bare(found)]) if owner and ended else "",
    }


def groups(rows: Iterable[Json], *, owner: bool, ended: bool) -> Iterator[Json]:
    """The lanes, each with its prompt lengths."""
    for name, several in groupby(rows, key=lambda row: str(row["lane"])):
        mine, lane = list(several), parse(name)
        yield {
            "engine": lane.engine.title,
            "device": mine[0]["device_used"] or lane.device,
            "precision": lane.precision,
            "hardware": mine[0]["device_name"] or "",
            "about": about(mine),
            "rows": [row(each, owner=owner, ended=ended) for each in mine],
        }


def about(rows: Sequence[Json]) -> str:
    """ "int8 sym, group 128 · loaded in 3.2 s · first run after that: TTFT 120 ms, 30.1 tok/s"."""
    recipe, load_s = rows[0]["weights"]["recipe"], rows[0]["load_s"]
    first = next((row["first_run"] for row in rows if row["first_run"]), None)
    parts = [recipe] if recipe else []
    parts += [] if load_s is None else [f"loaded in {load_s:.1f} s"]
    if first:
        rate = number(first["decode_tps"], ".1f")
        parts.append(
            f"first run after that: TTFT {number(first['ttft_ms'], '.0f')} ms, {rate} tok/s"
        )
    return " · ".join(parts)


def row(found: Json, *, owner: bool, ended: bool) -> Json:
    """One prompt length: medians, and what is to be said of it."""
    _, prompt, ttft, rate, spread, tpot, energy, roof, _ = cells(found)
    return {
        "prompt": prompt,
        "rate": rate,
        "spread": spread,
        "others": [ttft, tpot, energy, roof],
        "state": found["status"],
        "begun": bool(found["runs"]),
        "waiting": NA if ended or found["error"] else "measuring",
        "note": note(found, owner=owner),
    }


def note(found: Json, *, owner: bool) -> str:
    """What was wrong and what to do, or how many runs there are of those wanted."""
    if found["error"] is not None:
        text = f"{found['error']['message']} {found['error']['fix']}".strip()
        return text if owner else view.STATES[found["status"]]
    if found["status"] != "stopped":
        return ""
    runs = len(found["runs"])
    return f"Stopped after {runs} run{'s' * (runs > 1)}." if runs else "Stopped before a run ended."


def of_settings(told: Mapping[str, Any], *, contended: bool) -> str:
    """How it was measured, in one line."""
    runs, warmup = told["runs"], told["warmup"]
    measured = f"median and p5–p95 of {runs} runs" if runs > 1 else "1 run"
    warm = f" after {warmup} warm-up" if warmup else ", no warm-up"
    mode = MODES[told["mode"]].lower()
    shared = ": contended, the lanes share the machine" if contended else ""
    model = () if told["model"] == "none" else (view.model_label(told["model"], paths=False),)
    parts = (*model, f"{told['new_tokens']} new tokens", f"{measured}{warm}", f"{mode}{shared}")
    return " · ".join(parts)


def of_machine(told: Mapping[str, Any]) -> list[str]:
    """What it was measured on: the machine, its power, what slowed it down."""
    memory = f"{told['memory_gb']:.0f} GB" if told.get("memory_gb") else None
    named = [told.get("cpu"), memory, told.get("os"), when(told.get("measured_at"))]
    copy = (told.get("memory_copy") or {}).get("copy_gbs")
    copies = f"memory copies {number(copy, '.1f')} GB/s" if copy else None
    idle = told.get("idle_w")
    idles = None if idle is None else f"idle before {idle:.1f} W"
    powered = [*power(told.get("power_source") or {}), idles, copies]
    lines: list[list[Any]] = [named, powered, thermal(told)]
    return [" · ".join(map(str, filter(None, line))) for line in lines if any(line)]


def when(stamp: str | None) -> str:
    """ "2026-11-22 22:31 UTC"."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if stamp else ""


def power(told: Mapping[str, Any]) -> list[str]:
    source = PowerSource(**told)
    mains = ["on mains power"] if source.on_battery is False else []
    return [*mains, source.text.rstrip(".")]


def thermal(told: Mapping[str, Any]) -> list[str]:
    """Before and after: temperature and slowing down from heat, where they can be read."""
    before, after = told.get("before") or {}, told.get("after") or {}
    parts = []
    if after.get("temperature_c") is not None and before.get("temperature_c") is not None:
        was, became = before["temperature_c"], after["temperature_c"]
        parts.append(f"hottest sensor {was:.0f} °C before, {became:.0f} °C after")
    if after.get("throttle_events") is not None and before.get("throttle_events") is not None:
        times = after["throttle_events"] - before["throttle_events"]
        parts.append(f"slowed down by heat {times} times" if times else "not slowed down by heat")
    if governor := after.get("governor"):
        parts.append(f"governor {governor}")
    return parts or ["temperature and throttling cannot be read here"]


def chart(drawn: ChartImages) -> Json:
    light, dark = (svg_uri(each) for each in (drawn.light, drawn.dark))
    return {
        "name": drawn.name,
        "title": drawn.title,
        "about": drawn.about,
        "light": light,
        "dark": dark,
    }


def svg_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def count(plan: Plan) -> str:
    """ "32 runs: 2 lanes × 4 lengths × (1 warm-up + 3)"."""
    lanes, lengths = len(plan.lanes), len(plan.prompt_tokens)
    several = [f"{lanes} lane{'s' * (lanes > 1)}", f"{lengths} length{'s' * (lengths > 1)}"]
    each = f"({plan.warmup} warm-up + {plan.runs})" if plan.warmup else str(plan.runs)
    return f"{plan.total} runs: {' × '.join([*several, each])}"
