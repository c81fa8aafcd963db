"""Runs of one lane at one prompt length → its row of the result, and back: every figure in a row
can be computed again from the raw times in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from playground.bench import memory_bandwidth
from playground.bench.statistics import MEASURED, Figures, Summary, summary
from playground.errors import PlaygroundError
from playground.runs import metrics
from playground.runs.lane_run import LaneRun

Json = dict[str, Any]


class ResultRow:
    """One lane at one prompt length, as it fills. begin: the lane's first `LaneRun`."""

    def __init__(self, begin: LaneRun, prompt_tokens: int, wanted: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.error: PlaygroundError | None = None
        self.first: LaneRun | None = None  # the lane's first run after its load, if it is here
        self._last = begin
        self._wanted = wanted
        self._runs: list[LaneRun] = []

    @property
    def open(self) -> bool:
        """Whether it still takes runs."""
        return self.error is None and len(self._runs) < self._wanted

    def add(self, run: LaneRun, counts: bool) -> None:
        """A run that has ended well. counts: it is no warm-up."""
        self._last = run
        if counts:
            self._runs.append(run)

    def fail(self, run: LaneRun, error: PlaygroundError) -> None:
        """No more runs; what those before have measured stays."""
        run.fail(error)  # unless it has ended already: then the row alone is wrong
        self.error = error
        if not self._runs:
            self._last = run

    def record(self, stopped: bool, copy: Json | None) -> Json:
        """The record of docs/design.md with medians in the figures' places, and what they are of.

        copy: what `memory_bandwidth.measure` told.
        """
        record = self._last.record()
        found = summary(run.record() for run in self._runs)
        status = "ok" if len(self._runs) == self._wanted else "stopped" if stopped else "running"
        if self.error is not None:
            status = self._last.status if self._last.status == "unavailable" else "error"
        return {
            **record,
            "status": status,
            "prompt_tokens": self.prompt_tokens,
            **found["median"],
            "device_proof": proof(self._runs, found["median"]["device_busy_pct"]),
            "started_ns": self._runs[0].t_in if self._runs else None,
            "ended_ns": self._runs[-1].ended if self._runs else None,
            "error": self.error.as_dict() if self.error else None,
            "contended": self._last.contended,
            "roof_share": memory_bandwidth.utilization(
                found["median"]["bandwidth_gbs"], copy, self._last.lane
            ),
            "p5": found["p5"],
            "p95": found["p95"],
            "runs": [raw(run) for run in self._runs],
            "first_run": with_figures(raw(self.first)) if self.first else None,
        }


def proof(runs: Sequence[LaneRun], median: float | None) -> str:
    """In the words of the run that is nearest to the median."""
    told = [run.record() for run in runs]
    near = [each for each in told if each["device_busy_pct"] is not None and median is not None]
    if not near:
        return ""
    return str(min(near, key=lambda each: abs(each["device_busy_pct"] - median))["device_proof"])


def raw(run: LaneRun) -> Json:
    """One run as it was measured: times in ns of one clock, and what the gauges saw."""
    record = run.record()
    return {
        "token_ids": record["token_ids"],
        "t0_ns": run.t0,
        "t_in_ns": run.t_in,
        "t_ns": run.times,
        **{name: record[name] for name in (*MEASURED, "device_proof")},
    }


def with_figures(run: Json) -> Json:
    return {**run, **times_of(run)}


def recompute(row: Mapping[str, Any]) -> Summary:
    """The row's figures, from the raw times of its runs alone: median, p5 and p95."""
    return summary(figures_of(run, row["weights"]["read_bytes"]) for run in row["runs"])


def figures_of(run: Mapping[str, Any], read_bytes: int | None) -> Figures:
    """The figures of one raw run."""
    found = times_of(run)
    return {
        **found,
        "bandwidth_gbs": metrics.bandwidth_gbs(read_bytes, found["decode_tps"]),
        "j_per_token": metrics.j_per_token(run["energy_j"], len(run["t_ns"])),
        **{name: run[name] for name in MEASURED},
    }


def times_of(run: Mapping[str, Any]) -> Figures:
    return metrics.figures(run["t0_ns"], run["t_in_ns"], run["t_ns"])


def as_text(result: Json) -> str:
    """As JSON for people, too: a list of numbers is one line."""
    text = json.dumps(result, ensure_ascii=False, indent=1)
    # No text in it can look like this: JSON writes a line break as two characters.
    return re.sub(r"\[\n([-\d,\s]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
