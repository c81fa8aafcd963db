"""What the Machine tab shows, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from playground import devices, doctor
from playground.devices import Discovery, Hardware
from playground.formatting import NA
from playground.gauges import summary
from playground.gauges.readings import Sample
from playground.lanes import lane as lanes
from playground.lanes.lane import Lane
from playground.page.compare import view

LOOKING = "Looking for this machine's devices …"
STATUSES = {
    "ready": "ready",
    "needs-model": "needs model",
    "not-installed": "not installed",
    "unavailable": "unavailable",
}
NO_MODEL = ("Not yet made for it.", "The Models tab makes it; so does a run.")


def board(model: str, samples: Sequence[Sample], *, owner: bool) -> dict[str, Any]:
    """Everything but the memory; the devices and the lanes when they are known. samples: the last
    ones, which tell where each gauge gets its figure."""
    found = devices.discovered()
    return {
        "owner": owner,
        "facts": facts(),
        "looking": LOOKING if found is None else "",
        "devices": [device(row) for row in doctor.device_rows(found)] if found else [],
        "gauges": [gauge(row) for row in summary.rows(summary.summary(samples))],
        "hardware": [hardware(each, found) for each in devices.hardware()] if found else [],
        "model": view.model_label(model, paths=False),
        "engines": list(engines(lanes.table(model))) if found else [],
    }


def facts() -> list[str]:
    """The operating system, the CPU, its cores, the power: what is known of them."""
    told = doctor.machine.machine()
    cores = f"{told['cores'] or NA} cores, {told['threads'] or NA} threads"
    return [str(each) for each in (told["os"], told["cpu"], cores, told["power"]) if each]


def device(row: Mapping[str, Any]) -> dict[str, Any]:
    """One that an engine has, or lacks and why."""
    there = row["name"] is not None
    driver = f"driver {row['driver']}" if row["driver"] else ""
    about = ", ".join(each for each in (row["architecture"], driver) if each)
    return {
        "engine": row["engine"],
        "device": row["device"],
        "there": there,
        "name": row["name"] if there else row["note"],
        "about": about,
    }


def gauge(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where its figure comes from, or why there is none."""
    return {"gauge": row["gauge"], "name": row["name"], "about": row["source"], "why": row["note"]}


def hardware(one: Hardware, found: Discovery) -> dict[str, Any]:
    """What the operating system lists, and why no engine uses it where none does."""
    why = "" if is_used(one, found) else " ".join(devices.why_not(kind_for(one)))
    about = ", ".join(each for each in (one.pci_id, one.driver and f"driver {one.driver}") if each)
    return {"kind": one.kind, "name": one.name, "about": about, "why": why}


def is_used(one: Hardware, found: Discovery) -> bool:
    """Whether an engine finds a device of its kind and maker."""
    kinds = {each.name.partition(".")[0] for each in found.openvino}
    if one.kind == "NPU":
        return one.vendor == "Intel" and ("NPU" in kinds or found.npu_library is True)
    intel = one.vendor == "Intel" and "GPU" in kinds
    return intel or bool(found.dml) or (one.vendor in ("NVIDIA", "AMD") and bool(found.torch))


def kind_for(one: Hardware) -> str:
    """The kind of device that an engine would have it as."""
    return "CUDA" if one.kind == "GPU" and one.vendor in ("NVIDIA", "AMD") else one.kind


def engines(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lanes by engine: what all precisions on a device share is said once."""
    for backend, mine in groupby(rows, key=lambda row: row["backend"]):
        grouped: dict[tuple[str, str, str, str], list[Lane]] = {}
        for row in mine:
            reason, fix = row["reason"], row["fix"]
            if row["status"] == "needs-model":  # else the command line's advice, for each anew
                reason, fix = NO_MODEL
            key = (row["device"], row["status"], reason, fix)
            grouped.setdefault(key, []).append(lanes.parse(row["lane"]))
        yield {
            "engine": lanes.ENGINES[backend].title,
            "lanes": [
                {
                    "device": device,
                    "precisions": [lane.precision for lane in several],
                    "status": status,
                    "label": STATUSES[status],
                    "why": f"{reason} {fix}".strip(),
                }
                for (device, status, reason, fix), several in grouped.items()
            ],
        }


def memory(used_mb: float | None, total_mb: float | None, loaded: int) -> str:
    """ "12.3 of 25.3 GB of memory are free. 2 workers are loaded."."""
    workers = {0: "No worker is", 1: "1 worker is"}.get(loaded, f"{loaded} workers are")
    if used_mb is None or total_mb is None:
        return f"{workers} loaded."
    free = f"{(total_mb - used_mb) / 1e3:.1f} of {total_mb / 1e3:.1f} GB"
    return f"{free} of memory are free. {workers} loaded."
