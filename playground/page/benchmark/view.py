"""What the Benchmark tab shows of a result, as plain values."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from playground.bench.plan import Plan
from playground.bench.table import cells
from playground.formatting import number
from playground.gauges.power_source import PowerSource
from playground.history import to_markdown
from playground.history.entry import Entry
from playground.lanes.lane import parse
from playground.page.benchmark.charts import ChartImages
from playground.page.compare import view
from playground.page.compare.view import NA
from playground.page.jobs import WORKING
from playground.runs.benchmark_record import (
    BenchmarkMachine,
    BenchmarkRecord,
    BenchmarkResult,
    BenchmarkSettings,
    Conditions,
    PowerRecord,
)
from playground.runs.record import IN_TURN, TOGETHER

MODES = {IN_TURN: "In turn, each alone", TOGETHER: "Together, a race"}
Json = dict[str, Any]


def result(
    found: BenchmarkResult | None, charts: Sequence[ChartImages], state: str, *, owner: bool
) -> Json:
    """The table and all that belongs to it; nothing but the rows while it grows.

    owner: may save it, and read what names folders of this machine.
    """
    if found is None:
        return {"owner": owner, "groups": []}
    ended = state != WORKING
    settings = found.settings
    contended = settings.mode == TOGETHER and len(settings.lanes) > 1
    return {
        "owner": owner,
        "rate": "tok/s, contended" if contended else "tok/s",
        "groups": list(groups(found.results, owner=owner, ended=ended)),
        "settings": of_settings(settings, contended=contended),
        "machine": of_machine(found.machine) if ended else [],
        "charts": [chart(each) for each in charts],
        "markdown": to_markdown([Entry(found)]) if owner and ended else "",
    }


def groups(rows: Iterable[BenchmarkRecord], *, owner: bool, ended: bool) -> Iterator[Json]:
    """The lanes, each with its prompt lengths."""
    for name, several in groupby(rows, key=lambda row: row.lane):
        mine, lane = list(several), parse(name)
        yield {
            "engine": lane.engine.title,
            "device": mine[0].device_used or lane.device,
            "precision": lane.precision,
            "hardware": mine[0].device_name or "",
            "about": about(mine),
            "rows": [row(each, owner=owner, ended=ended) for each in mine],
        }


def about(rows: Sequence[BenchmarkRecord]) -> str:
    """ "int8 sym, group 128 · loaded in 3.2 s · first run after that: TTFT 120 ms, 30.1 tok/s"."""
    recipe, load_s = rows[0].weights.recipe, rows[0].load_s
    first = next((row.first_run for row in rows if row.first_run), None)
    parts = [recipe] if recipe else []
    parts += [] if load_s is None else [f"loaded in {load_s:.1f} s"]
    if first:
        rate = number(first.decode_tps, ".1f")
        parts.append(f"first run after that: TTFT {number(first.ttft_ms, '.0f')} ms, {rate} tok/s")
    return " · ".join(parts)


def row(found: BenchmarkRecord, *, owner: bool, ended: bool) -> Json:
    """One prompt length: medians, and what is to be said of it."""
    _, prompt, ttft, rate, spread, tpot, energy, roof, _ = cells(found)
    return {
        "prompt": prompt,
        "rate": rate,
        "spread": spread,
        "others": [ttft, tpot, energy, roof],
        "state": found.status,
        "begun": bool(found.runs),
        "waiting": NA if ended or found.error else "measuring",
        "note": note(found, owner=owner),
    }


def note(found: BenchmarkRecord, *, owner: bool) -> str:
    """What was wrong and what to do, or how many runs there are of those wanted."""
    if found.error is not None:
        return found.error.text if owner else view.STATES[found.status or "error"]
    if found.status != "stopped":
        return ""
    runs = len(found.runs)
    return f"Stopped after {runs} run{'s' * (runs > 1)}." if runs else "Stopped before a run ended."


def of_settings(settings: BenchmarkSettings, *, contended: bool) -> str:
    """How it was measured, in one line."""
    runs, warmup = settings.runs, settings.warmup
    measured = "1 run" if runs == 1 else f"median and p5–p95 of {runs} runs"
    warm = f" after {warmup} warm-up" if warmup else ", no warm-up"
    mode = MODES[settings.mode or IN_TURN].lower()
    shared = ": contended, the lanes share the machine" if contended else ""
    name = settings.model or "none"
    model = () if name == "none" else (view.model_label(name, paths=False),)
    parts = (*model, f"{settings.new_tokens} new tokens", f"{measured}{warm}", f"{mode}{shared}")
    return " · ".join(parts)


def of_machine(machine: BenchmarkMachine) -> list[str]:
    """What it was measured on: the machine, its power, what slowed it down."""
    memory = f"{machine.memory_gb:.0f} GB" if machine.memory_gb else None
    named = [machine.cpu, memory, machine.os, when(machine.measured_at)]
    copy = machine.memory_copy.copy_gbs if machine.memory_copy else None
    copies = f"memory copies {number(copy, '.1f')} GB/s" if copy else None
    idle = machine.idle_w
    idles = None if idle is None else f"idle before {idle:.1f} W"
    powered = [*power(machine.power_source), idles, copies]
    lines: list[Sequence[str | None]] = [named, powered, thermal(machine)]
    return [" · ".join(filter(None, line)) for line in lines if any(line)]


def when(stamp: str | None) -> str:
    """ "2026-11-22 22:31 UTC"."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if stamp else ""


def power(record: PowerRecord | None) -> list[str]:
    source = PowerSource(**record.as_json()) if record else PowerSource()
    mains = ["on mains power"] if source.on_battery is False else []
    return [*mains, source.text.rstrip(".")]


def thermal(machine: BenchmarkMachine) -> list[str]:
    """Before and after: temperature and slowing down from heat, where they can be read."""
    before, after = machine.before or Conditions(), machine.after or Conditions()
    parts = []
    if after.temperature_c is not None and before.temperature_c is not None:
        was, became = before.temperature_c, after.temperature_c
        parts.append(f"hottest sensor {was:.0f} °C before, {became:.0f} °C after")
    if after.throttle_events is not None and before.throttle_events is not None:
        times = after.throttle_events - before.throttle_events
        parts.append(f"slowed down by heat {times} times" if times else "not slowed down by heat")
    if governor := after.governor:
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
