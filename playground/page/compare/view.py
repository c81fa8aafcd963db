"""What the page shows, as plain values: pure functions from states to text and numbers.

All of it reaches the browser as JSON and is put there as text, never as HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from playground import models
from playground.errors import PlaygroundError
from playground.formatting import NA, device_proof, memory_size, number, percent, with_unit
from playground.gauges import aggregate
from playground.gauges.readings import Sample
from playground.lanes.host import Host
from playground.lanes.lane import Lane, gauge_key
from playground.runs.lane_run import LaneRun

STATES = {
    "idle": "not loaded",
    "wait": "waiting",
    "fetch": "fetching",
    "convert": "converting",
    "load": "loading",
    "ready": "ready",
    "failed": "failed",
    "waiting": "waiting",
    "running": "answering",
    "ok": "done",
    "stopped": "stopped",
    "error": "failed",
    "unavailable": "unavailable",
}
REASONS = {
    "stop": "the answer is complete",
    "length": "reached max new tokens",
    "context": "the model's context is full",
    "stopped": "stopped by you",
}


def card(
    host: Host, run: LaneRun | None, sample: Sample, model: str | None = None
) -> dict[str, Any]:
    """One column without its answer: what it is, what it does, its figures.

    sample: of the gauges, the latest. model: what the visitor will ask; a lane that holds another
    one is not ready for that.
    """
    lane, loaded = host.lane, host.loaded
    worker = sample.workers.get(lane.name)
    shown = run.view() if run else {}
    preparing = host.stage.name in ("wait", "fetch", "convert", "load")
    if run and not (run.status == "waiting" and preparing):
        state, fraction = run.status, None
        detail = REASONS.get(shown["finish_reason"] or "", "")
    else:
        state, fraction, detail = host.stage.name, host.stage.fraction, host.stage.detail
        if state == "wait":
            detail = f"for {detail}"
        if state == "ready" and model is not None and not host.is_ready(model):
            state = "idle"
    error = (run.error if run else None) or host.error
    if state == "failed" and error:
        detail = ""
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
        "detail": detail,
        "unit": "tokens/s, contended" if run and run.contended else "tokens/s",
        "tps": number(shown.get("tps"), ".1f"),
        "ttft": with_unit(shown.get("ttft_ms"), "ms"),
        "tokens": str(shown["new_tokens"]) if run and run.t0 else NA,
        "memory": memory_size(worker.rss_mb if worker else None),
        "load_of": "CPU" if lane.runs_on_cpu else lane.kind,
        "load": percent(load(lane, sample)),
        "proof": device_proof(shown),
        "message": error.message if error else "",
        "fix": error.fix if error else "",
    }


def weights(host: Host) -> str:
    """The recipe of a lane's weights, and the room that is fixed while loading where it is."""
    recipe, room = host.weights.get("recipe"), host.loaded.get("capacity")
    parts = [str(recipe)] if recipe and host.lane.needs_model else []
    return " · ".join([*parts, f"room for {room:,} tokens"] if room else parts)


def load(lane: Lane, sample: Sample) -> float | None:
    """How busy the lane keeps its device now; for the NPU, how busy that is."""
    if lane.runs_on_cpu:
        return aggregate.worker_percent(sample, lane.name)
    if lane.kind == "NPU":
        return aggregate.busiest(sample.npus)
    key = gauge_key(lane)
    own = aggregate.gpu_percent(sample.gpus, lane.name, key)
    return aggregate.whole_gpu(sample.gpus, key) if own is None else own


def label(lane: Lane) -> str:
    """ "OpenVINO GenAI · CPU · int8"."""
    return f"{lane.engine.title} · {lane.device} · {lane.precision}"


def labels(lanes: Iterable[Lane]) -> list[tuple[str, str]]:
    """The lanes to choose from, each once, as a person reads them."""
    return [(label(lane), lane.name) for lane in dict.fromkeys(lanes)]


def model_labels(names: Iterable[str], *, paths: bool) -> list[tuple[str, str]]:
    """The models to choose from, each once; paths: whether to tell where they lie here."""
    return [(model_label(name, paths=paths), name) for name in dict.fromkeys(names)]


def model_label(name: str, *, paths: bool) -> str:
    """A preset's name, a hub's id, or the name of a file or folder of this machine."""
    path = Path(name)
    if name in models.PRESETS or not path.is_absolute():
        return name
    return f"{path.name} · {path.parent}" if paths else path.name


def note(
    text: str | PlaygroundError, items: Sequence[str] = (), *, spoken: bool = True
) -> dict[str, Any]:
    """A line below what was pressed; an error's sentence and its fix. spoken: whether a screen
    reader tells it each time that it changes."""
    bad = isinstance(text, Exception)
    return {"text": str(text), "items": list(items), "bad": bad, "spoken": spoken}


def summary(runs: list[LaneRun], others: list[Host]) -> str:
    """What a run came to, in one line; others: the chosen lanes that could not join it."""
    parts = [f"{run.lane.engine.title}: {STATES[run.status]}" for run in runs]
    parts += [f"{host.lane.engine.title}: failed" for host in others if host.error]
    late = [host.lane.engine.title for host in others if not host.error]
    if late:
        parts.append(f"not yet ready, in the next run: {', '.join(late)}")
    return " · ".join(parts)
