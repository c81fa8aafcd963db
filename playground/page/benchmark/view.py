"""What the Benchmark tab shows of a result, as plain values."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from playground.bench.plan import Plan
from playground.bench.table import cells
from playground.formatting import NA, number
from playground.gauges.power_source import PowerSource
from playground.history import to_markdown
from playground.history.entry import Entry
from playground.lanes.lane import parse
from playground.page.benchmark.charts import ChartImages
from playground.page.components import Json
from playground.page.jobs import WORKING
from playground.page.labels import STATES, model_label
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


def benchmark_value(
    result: BenchmarkResult | None, charts: Sequence[ChartImages], state: str, *, owner: bool
) -> Json:
    """What benchmark.js shows; the machine and the exports as soon as the table is complete.

    owner: may save the result, and see errors that name local folders.
    """
    if result is None:
        result = BenchmarkResult(results=[])
    ended, settings = state != WORKING, result.settings
    measured = bool(result.results)
    contended = settings.mode == TOGETHER and len(settings.lanes) > 1
    return {
        "owner": owner,
        "rate": "tok/s, contended" if contended else "tok/s",
        "groups": list(groups(result.results, owner=owner, ended=ended)),
        "settings": settings_line(settings, contended=contended) if measured else "",
        "machine": machine_lines(result.machine) if measured and ended else [],
        "charts": [chart(images) for images in charts],
        "markdown": to_markdown([Entry(result)]) if measured and owner and ended else "",
    }


def groups(rows: Iterable[BenchmarkRecord], *, owner: bool, ended: bool) -> Iterator[Json]:
    """The lanes, each with its prompt lengths."""
    for name, group in groupby(rows, key=lambda row: row.lane):
        lane, lane_rows = parse(name), list(group)
        yield {
            "engine": lane.engine.title,
            "device": lane_rows[0].device_used or lane.device,
            "precision": lane.precision,
            "hardware": lane_rows[0].device_name or "",
            "about": about(lane_rows),
            "rows": [prompt_length(row, owner=owner, ended=ended) for row in lane_rows],
        }


def about(rows: Sequence[BenchmarkRecord]) -> str:
    """ "int8 sym, group 128 · loaded in 3.2 s · first run after loading: TTFT 120 ms"."""
    recipe, load_s = rows[0].weights.recipe, rows[0].load_s
    first_run = next((row.first_run for row in rows if row.first_run), None)
    parts = [recipe] if recipe else []
    parts += [] if load_s is None else [f"loaded in {load_s:.1f} s"]
    if first_run:
        ttft = number(first_run.ttft_ms, ".0f")
        rate = number(first_run.decode_tps, ".1f")
        parts.append(f"first run after loading: TTFT {ttft} ms, {rate} tok/s")
    return " · ".join(parts)


def prompt_length(row: BenchmarkRecord, *, owner: bool, ended: bool) -> Json:
    """One prompt length of a lane: medians, and what went wrong."""
    _, prompt, ttft, rate, spread, tpot, energy, bandwidth_utilization, _ = cells(row)
    return {
        "prompt": prompt,
        "rate": rate,
        "spread": spread,
        "others": [ttft, tpot, energy, bandwidth_utilization],
        "state": row.status or "",
        "begun": bool(row.runs),
        "waiting": NA if ended or row.error else "measuring",
        "note": row_note(row, owner=owner),
    }


def row_note(row: BenchmarkRecord, *, owner: bool) -> str:
    """The error and its fix, or how many runs there were before the benchmark was cancelled."""
    if row.error is not None:
        return row.error.text if owner else STATES[row.status or "error"]
    if row.status != "stopped":
        return ""
    runs = len(row.runs)
    if not runs:
        return "Stopped before a run had finished."
    return f"Stopped after {runs} run{'s' * (runs > 1)}."


def settings_line(settings: BenchmarkSettings, *, contended: bool) -> str:
    """How it was measured."""
    runs, warmup, name = settings.runs, settings.warmup, settings.model
    measured = "1 run" if runs == 1 else f"median and p5–p95 of {runs} runs"
    warm = f" after {warmup} warm-up" if warmup else ", no warm-up"
    mode = MODES[settings.mode or IN_TURN].lower()
    shared = ": contended, the lanes share the machine" if contended else ""
    model = () if name in (None, "none") else (model_label(name, paths=False),)
    new_tokens = f"{settings.new_tokens} new tokens"
    return " · ".join((*model, new_tokens, f"{measured}{warm}", f"{mode}{shared}"))


def machine_lines(machine: BenchmarkMachine) -> list[str]:
    """Where it was measured: the machine, its power supply, its temperature and throttling."""
    memory = f"{machine.memory_gb:.0f} GB" if machine.memory_gb else None
    names = [machine.cpu, memory, machine.os, when(machine.measured_at)]
    copy_gbs = machine.memory_copy.copy_gbs if machine.memory_copy else None
    copy = f"memory copy bandwidth {number(copy_gbs, '.1f')} GB/s" if copy_gbs else None
    idle_w = machine.idle_w
    idle = None if idle_w is None else f"{idle_w:.1f} W when idle before"
    supply = [*power(machine.power_source), idle, copy]
    lines: list[list[str | None]] = [names, supply, [*thermal(machine)]]
    return [" · ".join(filter(None, line)) for line in lines if any(line)]


def when(stamp: str | None) -> str:
    """ "2026-11-22 22:31 UTC"."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if stamp else ""


def power(record: PowerRecord | None) -> list[str]:
    """Mains or battery, and a power-saving mode."""
    source = PowerSource(**record.as_json()) if record else PowerSource()
    mains = ["on mains power"] if source.on_battery is False else []
    return [*mains, source.text.rstrip(".")]


def thermal(machine: BenchmarkMachine) -> list[str]:
    """Temperature before and after, and thermal throttling, where they can be read."""
    before, after = machine.before or Conditions(), machine.after or Conditions()
    parts = []
    if after.temperature_c is not None and before.temperature_c is not None:
        begin, end = before.temperature_c, after.temperature_c
        parts.append(f"hottest sensor {begin:.0f} °C before, {end:.0f} °C after")
    if after.throttle_events is not None and before.throttle_events is not None:
        times = after.throttle_events - before.throttle_events
        parts.append(f"throttled by heat {times} times" if times else "not throttled by heat")
    if governor := after.governor:
        parts.append(f"governor {governor}")
    return parts or ["temperature and throttling cannot be read here"]


def chart(images: ChartImages) -> Json:
    """A chart for both themes."""
    return {
        "name": images.name,
        "title": images.title,
        "about": images.about,
        "light": svg_uri(images.light),
        "dark": svg_uri(images.dark),
    }


def svg_uri(svg: str) -> str:
    """The SVG file as a data URI."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def run_count(plan: Plan) -> str:
    """ "32 runs: 2 lanes × 4 lengths × (1 warm-up + 3)"."""
    lanes, lengths = len(plan.lanes), len(plan.prompt_tokens)
    factors = [f"{lanes} lane{'s' * (lanes > 1)}", f"{lengths} length{'s' * (lengths > 1)}"]
    runs = f"({plan.warmup} warm-up + {plan.runs})" if plan.warmup else str(plan.runs)
    return f"{plan.total} runs: {' × '.join([*factors, runs])}"
