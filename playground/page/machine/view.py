"""What the Machine tab shows, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from backends import ENGINES
from playground import devices, doctor
from playground.devices import Discovery, Hardware
from playground.formatting import NA
from playground.gauges import summary
from playground.gauges.readings import Sample
from playground.lanes.lane import parse, table
from playground.page.components import Json
from playground.page.labels import model_label

LOOKING = "Looking for this machine's devices …"
STATUSES = {
    "ready": "ready",
    "needs-model": "needs model",
    "not-installed": "not installed",
    "unavailable": "unavailable",
}
NOT_PREPARED = ("Not prepared yet.", "Prepare it on the Models tab, or simply run it.")


def machine_value(model: str, sample: Sample, *, owner: bool) -> Json:
    """What machine.js shows; devices and lanes as soon as they are known.

    sample: the latest of the gauges.
    """
    discovery = devices.discovered()
    return {
        "owner": owner,
        "facts": facts(),
        "looking": LOOKING if discovery is None else "",
        "devices": [device(row) for row in doctor.device_rows(discovery)] if discovery else [],
        "gauges": [gauge(row) for row in summary.rows(summary.summary([sample]))],
        "hardware": [hardware(device, discovery) for device in devices.hardware()]
        if discovery
        else [],
        "model": model_label(model, paths=False),
        "engines": list(engines(table(model))) if discovery else [],
    }


def facts() -> list[str]:
    """The operating system, the CPU, its cores, the power supply."""
    machine = doctor.machine.machine()
    cores = f"{machine['cores'] or NA} cores, {machine['threads'] or NA} threads"
    return [str(fact) for fact in (machine["os"], machine["cpu"], cores, machine["power"]) if fact]


def device(row: doctor.DeviceRow) -> Json:
    """A device that an engine has, or lacks; then `name` is the reason."""
    driver = f"driver {row.driver}" if row.driver else ""
    return {
        "engine": row.engine,
        "device": row.device,
        "there": row.name is not None,
        "name": row.note if row.name is None else row.name,
        "about": ", ".join(filter(None, (row.architecture, driver))),
    }


def gauge(row: Mapping[str, Any]) -> Json:
    """Where a gauge's figure comes from, or why there is none."""
    return {"gauge": row["gauge"], "name": row["name"], "about": row["source"], "why": row["note"]}


def hardware(one: Hardware, discovery: Discovery) -> Json:
    """A device that the operating system lists, and why no engine uses it."""
    driver = f"driver {one.driver}" if one.driver else ""
    return {
        "kind": one.kind,
        "name": one.name,
        "about": ", ".join(filter(None, (one.pci_id, driver))),
        "why": "" if is_used(one, discovery) else " ".join(devices.why_not(kind_for(one))),
    }


def is_used(one: Hardware, discovery: Discovery) -> bool:
    """Whether an engine finds a device of its kind and vendor."""
    kinds = {device.name.partition(".")[0] for device in discovery.openvino}
    if one.kind == "NPU":
        return one.vendor == "Intel" and ("NPU" in kinds or discovery.npu_library is True)
    intel = one.vendor == "Intel" and "GPU" in kinds
    return (
        intel or bool(discovery.dml) or (one.vendor in ("NVIDIA", "AMD") and bool(discovery.torch))
    )


def kind_for(one: Hardware) -> str:
    """What engines call a device of this kind and vendor."""
    return "CUDA" if one.kind == "GPU" and one.vendor in ("NVIDIA", "AMD") else one.kind


def engines(rows: Iterable[Mapping[str, Any]]) -> Iterator[Json]:
    """The lanes by engine; precisions on a device that share status and reason share a line."""
    for backend, engine_rows in groupby(rows, key=lambda row: str(row["backend"])):
        precisions: dict[tuple[str, str, str, str], list[str]] = {}
        for row in engine_rows:
            reason, fix = row["reason"], row["fix"]
            if row["status"] == "needs-model":  # else the command line's advice on every line
                reason, fix = NOT_PREPARED
            key = (row["device"], row["status"], reason, fix)
            precisions.setdefault(key, []).append(parse(row["lane"]).precision)
        lanes = [
            {
                "device": device,
                "precisions": names,
                "status": status,
                "label": STATUSES[status],
                "why": f"{reason} {fix}".strip(),
            }
            for (device, status, reason, fix), names in precisions.items()
        ]
        yield {"engine": ENGINES[backend].title, "lanes": lanes}


def memory(used_mb: float | None, total_mb: float | None, loaded: int) -> str:
    """ "12.3 of 25.3 GB of memory are free. 2 workers are loaded."."""
    workers = {0: "No worker is", 1: "1 worker is"}.get(loaded, f"{loaded} workers are")
    if used_mb is None or total_mb is None:
        return f"{workers} loaded."
    free = f"{(total_mb - used_mb) / 1e3:.1f} of {total_mb / 1e3:.1f} GB"
    return f"{free} of memory are free. {workers} loaded."
