"""A benchmark that goes on whoever watches: runs wait for it, it waits for the one under way."""

from __future__ import annotations

import logging
import time
from typing import Any

from playground import models
from playground.arena import Arena, Run
from playground.bench.plan import Plan
from playground.bench.running import Step, run
from playground.errors import BadInput, PlaygroundError
from playground.formatting import time_left
from playground.lanes.lane import Lane
from playground.page.benchmark.charts import ChartImages, draw
from playground.page.choices import Choices
from playground.page.compare import view
from playground.page.jobs import CANCELLED, DONE, FAILED, WORKING, Job
from playground.runs.benchmark_record import BenchmarkResult
from playground.runs.request import Request

log = logging.getLogger(__name__)
LOOK_S = 0.05
LANE_STATES = {"ready": "done", "failed": "failed", "idle": "waiting"}  # of a job's lines


class BenchmarkJob(Job):
    """version: grows whenever the result may look otherwise than before."""

    def __init__(self, arena: Arena, choices: Choices) -> None:
        super().__init__()
        self._arena, self._choices = arena, choices
        self._plan: Plan | None = None
        self._step: Step | None = None
        self._looked = self._began = 0.0  # when the step came, when all began
        self.charts: list[ChartImages] = []
        self.version = 0

    @property
    def working(self) -> bool:
        return self.state == WORKING

    @property
    def result(self) -> BenchmarkResult | None:
        """What is measured so far, or was in the last one; None where nothing was."""
        return self._step.result if self._step and self._step.result.results else None

    def start(self, plan: Plan) -> None:
        """Raises BadInput while another is under way."""
        name = view.model_label(plan.model, paths=False)
        what = f"Benchmark of {name}" if plan.lanes[0].needs_model else "Benchmark"
        with self.beginning(what):
            self._plan, self._step, self.charts = plan, None, []
            self._looked = self._began = time.monotonic()
            self.version += 1

    def start_run(self, request: Request, *, keep: bool) -> Run:
        """A run that no benchmark gets in the way of. Raises BadInput while one is under way."""
        with self._guard:
            if self.working:
                raise BadInput("A benchmark has just begun.", "Run it again when that has ended.")
            return self._arena.start(request, keep=keep)

    def work(self) -> str:
        self._choices.hold()
        try:
            return self._measure()
        except PlaygroundError as error:
            self.detail = str(error)
            return FAILED
        finally:
            self._choices.resume()
            self.version += 1

    def _measure(self) -> str:
        plan = self._plan
        assert plan is not None
        while self._arena.busy and not self.cancelled.wait(LOOK_S):
            pass
        if not self.cancelled.is_set():
            for host in self._arena.hosts.all():  # their memory is wanted, not their threads
                if host.lane not in plan.lanes:
                    host.unload()
            for step in run(plan, self._arena, self.cancelled):
                self._step, self._looked = step, time.monotonic()
                self.version += 1
        return self._end(plan)

    def _end(self, plan: Plan) -> str:
        result, step = self.result, self._step
        cancelled = self.cancelled.is_set()
        if result is not None and step is not None:
            self._arena.keep_benchmark(result)
            with self._arena.hosts.devices, models.paused():  # drawing disturbs no run either
                self.charts = drawn(result)
        measured = result is not None and any(row.runs for row in result.results)
        if cancelled:
            self.detail = "What had ended by then is below." if measured else "Nothing had ended."
            return CANCELLED
        if not measured:
            self.detail = "No lane could be measured."
            return FAILED
        self.detail = f"{plan.total} runs in {duration(time.monotonic() - self._began)}."
        return DONE

    def view(self, owner: bool) -> dict[str, Any]:
        shown, step, plan = super().view(owner), self._step, self._plan
        if not self.working or plan is None:
            return shown
        turn = step.turn if step else None
        loading = step is None or (turn is None and step.done == 0)
        if loading:
            label, shown["detail"] = self._waiting()
            shown["label"] = shown["label"] or label
        elif step and turn:
            shown["label"] = shown["label"] or "measuring"
            shown["fraction"] = step.done / step.total
            shown["detail"] = " · ".join(filter(None, self._parts(step)))
        else:
            shown["label"] = shown["label"] or "drawing the charts"
        if step is not None:
            shown["items"] = [self._item(lane, step) for lane in plan.lanes]
        return shown

    def _waiting(self) -> tuple[str, str]:
        """Before the first turn: what for."""
        plan, hosts = self._plan, self._arena.hosts
        assert plan is not None
        settled = all(hosts[lane].stage.name in ("ready", "failed") for lane in plan.lanes)
        if self._arena.busy and (settled or self._step is None):
            return "waiting", "for the run on the Compare tab to end"
        if self._step is None:
            return "starting", "Looking at the machine."
        return "loading", ""

    def _parts(self, step: Step) -> list[str]:
        assert step.turn is not None
        left = step.seconds_left
        if left is not None:
            left = max(left - (time.monotonic() - self._looked), 0.0)
        tokens = f"{step.turn.prompt_tokens:,} prompt tokens"
        return [f"Run {step.done + 1} of {step.total}", time_left(left), tokens]

    def _item(self, lane: Lane, step: Step) -> dict[str, Any]:
        """A line of the lane: how it loads, then whether it has its turn."""
        stage = self._arena.hosts[lane].stage
        state, label = LANE_STATES.get(stage.name, WORKING), view.STATES[stage.name]
        if stage.fraction is not None:
            label += f" {stage.fraction:.0%}".replace("%", " %")
        if step.turn and lane in step.turn.lanes and state == "done":
            state, label = WORKING, "measuring"
        return {"text": view.label(lane), "state": state, "label": label, "note": ""}


def drawn(result: BenchmarkResult) -> list[ChartImages]:
    """Its charts; a fault in them must not cost the table."""
    try:
        return draw(result)
    except Exception:
        log.exception("The charts could not be drawn")
        return []


def duration(seconds: float) -> str:
    """ "48 s", "3 min"."""
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"
