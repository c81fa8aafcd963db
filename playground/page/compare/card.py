"""The card above a column of the Compare tab: what a lane is and does, and its figures.

The values reach the browser as JSON and are inserted as text, never as HTML.
"""

from __future__ import annotations

from playground.formatting import NA, memory_size, number, percent, with_unit
from playground.gauges import aggregate
from playground.gauges.readings import Sample
from playground.lanes.host import Host
from playground.lanes.lane import Lane, gauge_key
from playground.page.components import Json
from playground.page.labels import FINISH_REASONS, STATES
from playground.runs.lane_run import LaneRun

PREPARING = ("wait", "fetch", "convert", "load")


def card(host: Host, run: LaneRun | None, sample: Sample, model: str | None = None) -> Json:
    """The card of a lane, with the figures of its run if it has one.

    Every key with a text is the `data-text` of an element in card.html.
    sample: the latest of the gauges. model: what the visitor has chosen; a lane that holds another
    model is not ready for it.
    """
    lane, loaded = host.lane, host.loaded
    worker = sample.workers.get(lane.name)
    view = run.view() if run else None
    state, fraction, detail = progress(host, run, model)
    error = (run.error if run else None) or host.error
    return {
        "engine": lane.engine.title,
        "device": loaded.get("device_used") or lane.device,
        "precision": lane.precision,
        "hardware": loaded.get("device_name", ""),
        "version": loaded.get("library_version", ""),
        "weights": weights(host),
        "notes": " ".join(loaded.get("notes", ())),
        "state": state,
        "label": STATES[state],
        "fraction": fraction,
        "detail": "" if state == "failed" and error else detail,
        "unit": "tokens/s, contended" if run and run.contended else "tokens/s",
        "tps": number(view.tps if view else None, ".1f"),
        "ttft": with_unit(view.ttft_ms if view else None, "ms"),
        "tokens": str(view.new_tokens) if view and run and run.t0 else NA,
        "memory": memory_size(worker.rss_mb if worker else None),
        "load_of": "CPU" if lane.runs_on_cpu else lane.kind,
        "load": percent(load(lane, sample)),
        "proof": view.device_proof if view else "",
        "message": error.message if error else "",
        "fix": error.fix if error else "",
    }


def progress(host: Host, run: LaneRun | None, model: str | None) -> tuple[str, float | None, str]:
    """State, fraction and detail: of the run, or of the preparation that it waits for."""
    stage = host.stage
    if run and not (run.status == "waiting" and stage.name in PREPARING):
        return run.status, None, FINISH_REASONS.get(run.finish_reason or "", "")
    if stage.name == "ready" and model is not None and not host.is_ready(model):
        return "idle", stage.fraction, stage.detail
    detail = f"for {stage.detail}" if stage.name == "wait" else stage.detail
    return stage.name, stage.fraction, detail


def weights(host: Host) -> str:
    """The recipe of a lane's weights, and the capacity of an engine with static shapes."""
    recipe = host.weights["recipe"] if host.weights else ""
    capacity = host.loaded.get("capacity")
    parts = [recipe] if recipe and host.lane.needs_model else []
    return " · ".join([*parts, f"capacity: {capacity:,} tokens"] if capacity else parts)


def load(lane: Lane, sample: Sample) -> float | None:
    """How busy the lane keeps its device, in per cent; for an NPU, how busy that is in all."""
    if lane.runs_on_cpu:
        return aggregate.worker_percent(sample, lane.name)
    if lane.kind == "NPU":
        return aggregate.busiest(sample.npus)
    key = gauge_key(lane)
    own = aggregate.gpu_percent(sample.gpus, lane.name, key)
    return aggregate.whole_gpu(sample.gpus, key) if own is None else own


def summary(runs: list[LaneRun], others: list[Host]) -> str:
    """How a run ended, in one line. others: the chosen lanes that could not join it."""
    parts = [f"{run.lane.engine.title}: {STATES[run.status]}" for run in runs]
    parts += [f"{host.lane.engine.title}: failed" for host in others if host.error]
    late = [host.lane.engine.title for host in others if not host.error]
    if late:
        parts.append(f"not ready yet, will join the next run: {', '.join(late)}")
    return " · ".join(parts)
