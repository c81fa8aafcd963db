"""`python -m playground doctor`: a report to attach to a bug report.

It has no field that could hold anything private: only versions, numbers, the names that makers give
their devices, and sentences written in this project. No path, no environment variable and no text
of an exception or an engine goes into it.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from playground import devices, models
from playground.doctor import machine, packages
from playground.doctor.engine_devices import DeviceRow, device_rows
from playground.doctor.text import markdown
from playground.gauges import summary
from playground.lanes import lane as lanes
from playground.paths import ROOT, home

__all__ = ["DeviceRow", "device_rows", "machine", "markdown", "report"]

GAUGES_S = 1.5
Section = Mapping[str, object] | Sequence[Mapping[str, object]]

log = logging.getLogger(__name__)


def report() -> dict[str, Section]:
    """All sections by name; one that fails holds only the kind of its error."""
    sections: dict[str, Callable[[], Section]] = {
        "program": lambda: machine.program(ROOT),
        "machine": machine.machine,
        "hardware": lambda: [asdict(device) for device in devices.hardware()],
        "devices": lambda: [asdict(row) for row in device_rows(devices.discover())],
        "gauges": lambda: list(summary.rows(summary.measure(GAUGES_S))),
        "lanes": lane_rows,
        "model": default_model,
        "packages": lambda: packages.versions(ROOT),
    }
    return {name: section_or_error(name, build) for name, build in sections.items()}


def section_or_error(name: str, build: Callable[[], Section]) -> Section:
    try:
        return build()
    except Exception as error:  # whatever is broken here is what the report is for
        log.exception("The report's section “%s” could not be created", name)
        return {"error": f"This could not be read: {kind_of(error)}. The log has the details."}


def kind_of(error: Exception) -> str:
    """ "FileNotFoundError (ENOENT)": unlike an exception's text, this holds no path and no name."""
    code = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
    return f"{type(error).__name__} ({code})" if code else type(error).__name__


def lane_rows() -> list[dict[str, object]]:
    """Every lane with the default model: its status, the reason and the fix."""
    shown = ("lane", "status", "reason", "fix")
    rows = lanes.table(models.DEFAULT_MODEL)
    return [{key: value for key, value in row.items() if key in shown} for row in rows]


def default_model() -> dict[str, object]:
    """Which lanes have the default model, and how much disk space is free for more."""
    name = models.DEFAULT_MODEL
    rows = [row for row in lanes.table(name) if row["model"] == name]
    return {
        "name": name,
        "ready_for": [row["lane"] for row in rows if row["status"] == "ready"],
        "missing_for": [row["lane"] for row in rows if row["status"] == "needs-model"],
        "disk_free_gb": round(shutil.disk_usage(home()).free / 1e9, 1),
    }
