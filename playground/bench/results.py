"""The runs of one lane at one prompt length → its record in the result, and back: every figure in
a record can be computed again from the raw times in it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from operator import itemgetter

from playground.bench import memory_bandwidth
from playground.bench.statistics import Distribution, distribution
from playground.errors import PlaygroundError
from playground.runs import metrics
from playground.runs.benchmark_record import (
    BenchmarkRecord,
    BenchmarkResult,
    FirstRun,
    MemoryCopy,
    RawRun,
)
from playground.runs.figures import RunFigures, Timings
from playground.runs.lane_run import LaneRun
from playground.runs.record import Failure, Record


class ResultRow:
    """One lane at one prompt length while it is being measured. begin: the lane's first run."""

    def __init__(self, begin: LaneRun, prompt_tokens: int, planned: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.error: PlaygroundError | None = None
        self.first_run: FirstRun | None = None  # after loading, if it was at this length
        self._last = begin
        self._planned = planned
        self._runs: list[RawRun] = []
        self._figures: list[RunFigures] = []  # of each run
        self._ended_ns: int | None = None

    @property
    def open(self) -> bool:
        """Whether runs are still to come."""
        return self.error is None and len(self._runs) < self._planned

    def add(self, run: LaneRun, *, counts: bool, first: bool) -> None:
        """Add a run that has ended well. counts: it is not a warm-up; first: it is the first one
        after the lane was loaded."""
        self._last, raw = run, raw_run(run)
        if first:
            self.first_run = FirstRun(**dict(raw), **dict(timings_of(raw)))
        if counts:
            self._runs.append(raw)
            self._figures.append(figures_of(raw, run.record().weights.read_bytes))
            self._ended_ns = run.ended

    def fail(self, run: LaneRun, error: PlaygroundError) -> None:
        """End the row with an error; the runs measured before stay."""
        run.fail(error)  # unless it has ended already: then only the row has failed
        self.error = error
        if not self._runs:
            self._last = run

    def record(self, stopped: bool, copy: MemoryCopy | None) -> BenchmarkRecord:
        """The row's record. stopped: no more runs will come; copy: the memory's copy bandwidth."""
        figures = distribution(self._figures)
        median = figures.median
        return BenchmarkRecord.model_validate(
            {
                **dict(self._last.record()),
                **dict(median),
                "status": self._status(stopped),
                "prompt_tokens": self.prompt_tokens,
                "device_proof": proof(self._runs, median.device_busy_pct),
                "started_ns": self._runs[0].t_in_ns if self._runs else None,
                "ended_ns": self._ended_ns,
                "error": Failure(**self.error.as_dict()) if self.error else None,
                "contended": self._last.contended,
                "roof_share": memory_bandwidth.utilization(
                    median.bandwidth_gbs, copy.copy_gbs if copy else None, self._last.lane
                ),
                "p5": figures.p5,
                "p95": figures.p95,
                "runs": self._runs,
                "first_run": self.first_run,
            }
        )

    def _status(self, stopped: bool) -> str:
        if self.error is not None:
            return self._last.status if self._last.status == "unavailable" else "error"
        if len(self._runs) == self._planned:
            return "ok"
        return "stopped" if stopped else "running"


def proof(runs: Sequence[RawRun], median: float | None) -> str:
    """Which device did the work, in the words of the run whose load is nearest to the median."""
    if median is None:
        return ""
    loads = [(run.device_busy_pct, run.device_proof or "") for run in runs]
    known = [(abs(load - median), text) for load, text in loads if load is not None]
    return min(known, key=itemgetter(0), default=(0.0, ""))[1]


def raw_run(run: LaneRun) -> RawRun:
    record = run.record()
    return RawRun(
        token_ids=record.token_ids,
        t0_ns=run.t0,
        t_in_ns=run.t_in,
        t_ns=run.times,
        device_proof=record.device_proof,
        **measured(record),
    )


def measured(run: Record | RawRun) -> dict[str, float | None]:
    """What the gauges measured once for a run, and nothing can be computed from."""
    names = RawRun.model_fields.keys() & RunFigures.model_fields.keys()
    return {name: getattr(run, name) for name in names}


def recompute(record: BenchmarkRecord) -> Distribution:
    """The record's figures from the raw times of its runs alone."""
    read_bytes = record.weights.read_bytes
    return distribution([figures_of(run, read_bytes) for run in record.runs])


def figures_of(run: RawRun, read_bytes: int | None) -> RunFigures:
    timings = timings_of(run)
    return RunFigures(
        **dict(timings),
        bandwidth_gbs=metrics.bandwidth_gbs(read_bytes, timings.decode_tps),
        j_per_token=metrics.j_per_token(run.energy_j, len(run.t_ns)),
        **measured(run),
    )


def timings_of(run: RawRun) -> Timings:
    return metrics.timings(run.t0_ns, run.t_in_ns, run.t_ns)


def as_text(result: BenchmarkResult) -> str:
    """As JSON that people can read, too: a list of numbers is one line."""
    text = json.dumps(result.as_json(), ensure_ascii=False, indent=1)
    # No text in it can look like this: JSON writes a line break as two characters.
    return re.sub(r"\[\n([-\d,\s]+)\]", lambda match: f"[{' '.join(match[1].split())}]", text)
