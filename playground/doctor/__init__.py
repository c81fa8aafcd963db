"""`python -m playground doctor`: a report to attach to a bug report; nothing private is in it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from playground import devices, models
from playground.doctor import machine, packages
from playground.doctor.scrub import of_this_machine
from playground.doctor.text import markdown
from playground.gauges import summary
from playground.lanes import lane as lanes
from playground.paths import ROOT, home

__all__ = ["markdown", "report"]

GAUGES_S = 1.5
Row = dict[str, Any]

log = logging.getLogger(__name__)


def report() -> dict[str, Any]:
    """Everything, scrubbed. A section that cannot be made says why, and costs no other."""
    sections: dict[str, Callable[[], Any]] = {
        "program": lambda: machine.program(ROOT),
        "machine": machine.machine,
        "hardware": lambda: [asdict(each) for each in devices.hardware()],
        "devices": lambda: list(device_rows(devices.discover())),
        "gauges": lambda: list(summary.rows(summary.measure(GAUGES_S))),
        "lanes": lambda: [
            {key: row[key] for key in ("lane", "status", "reason", "fix")} for row in table()
        ],
        "model": default_model,
        "packages": lambda: packages.versions(ROOT),
    }
    made = {name: _made(name, make) for name, make in sections.items()}
    clean: dict[str, Any] = of_this_machine(home(), ROOT).scrub(made)
    return clean


def _made(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:  # whatever is broken here is what the report is for
        log.exception("The report's part “%s” could not be made", name)
        return {"error": f"{type(error).__name__}: {error}"}


def device_rows(found: devices.Discovery) -> Iterator[Row]:
    """What each engine finds, and a row with the reason where it finds nothing."""
    for engine, module, probe, kinds, have in (
        ("OpenVINO", "openvino", "openvino", ("CPU", "GPU", "NPU"), found.openvino),
        ("DirectML", "", "", ("DML",), found.dml),
        ("PyTorch", "torch", "torch", ("CUDA", "XPU"), found.torch),
    ):
        for kind in kinds:
            mine = [each for each in have if each.name.partition(".")[0] == kind]
            for each in mine:
                yield {"engine": engine, "device": each.name, **_about(each), "note": ""}
            if not mine:
                there = not module or find_spec(module) is not None
                note = _trouble(found, probe, kind) if there else f"{engine} is not installed."
                yield {"engine": engine, "device": kind, **_about(None), "note": note}
    note = (
        found.errors.get("npu-library")
        or {
            None: "The NPU library is not installed.",
            True: "The NPU library finds the NPU.",
            False: devices.why_not("NPU-LIBRARY")[0],
        }[found.npu_library]
    )
    yield {"engine": "NPU library", "device": "NPU", **_about(None), "note": note}


def _trouble(found: devices.Discovery, probe: str, kind: str) -> str:
    """Why an engine has no such device, and what it said itself."""
    error = found.errors.get(probe) or found.errors.get(f"{probe}:{kind}")
    said = found.details.get(f"{probe}:{kind}", "")
    return f"{error or devices.why_not(kind)[0]} {said}".strip()


def _about(device: devices.Device | None) -> Row:
    return {
        "name": device and device.full_name,
        "driver": device and device.driver,
        "architecture": device and device.architecture,
        "luid": device and device.luid,
    }


def table() -> list[Row]:
    return lanes.table(models.DEFAULT_MODEL)


def default_model() -> Row:
    """What is made of the default model, and the room for more."""
    disk = shutil.disk_usage(home())
    rows = [row for row in table() if row["model"] == models.DEFAULT_MODEL]
    return {
        "name": models.DEFAULT_MODEL,
        "ready_for": [row["lane"] for row in rows if row["status"] == "ready"],
        "missing_for": [row["lane"] for row in rows if row["status"] == "needs-model"],
        "disk_free_gb": round(disk.free / 1e9, 1),
    }
