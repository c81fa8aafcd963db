"""The benchmark in the background: a run waits for it to end, and it waits for a run under way."""

from __future__ import annotations

import time

from playground import models
from playground.arena import Arena, Run
from playground.bench.plan import Plan
from playground.bench.running import Step, run
from playground.errors import BadInput, PlaygroundError
from playground.formatting import time_left
from playground.lanes.lane import Lane
from playground.page.benchmark.charts import ChartImages, draw
from playground.page.choices import Choices
from playground.page.components import Json
from playground.page.jobs import CANCELLED, DONE, FAILED, WAITING, WORKING, Job
from playground.page.labels import STATES, lane_label, model_label
from playground.runs.benchmark_record import BenchmarkResult
from playground.runs.request import Request

POLL_S = 0.05
ITEM_STATES = {"ready": DONE, "failed": FAILED, "idle": WAITING}  # by a lane's state


class BenchmarkJob(Job):
    """One benchmark at a time. version: grows whenever the result may have changed."""

    def __init__(self, arena: Arena, choices: Choices) -> None:
        super().__init__()
        self._arena, self._choices = arena, choices
        self._plan: Plan | None = None
        self._step: Step | None = None
        self._step_at = self._began = 0.0  # when the latest step came, when the benchmark began
        self.charts: list[ChartImages] = []
        self.version = 0

    @property
    def working(self) -> bool:
        """Whether a benchmark is in progress."""
        return self.state == WORKING

    @property
    def busy(self) -> bool:
        """Whether a new run would wait: for the benchmark, or for another run."""
        return self._arena.busy or self.working

    @property
    def result(self) -> BenchmarkResult | None:
        """What has been measured so far, or by the last benchmark; None before the first figure."""
        return self._step.result if self._step and self._step.result.results else None

    def start(self, plan: Plan) -> None:
        """Raises BadInput while another is in progress."""
        name = model_label(plan.model, paths=False)
        title = f"Benchmark of {name}" if plan.lanes[0].needs_model else "Benchmark"
        with self.beginning(title):
            self._plan, self._step, self.charts = plan, None, []
            self._step_at = self._began = time.monotonic()
            self.version += 1

    def start_run(self, request: Request, *, keep: bool) -> Run:
        """Start a run that no benchmark disturbs. Raises BadInput while one is in progress."""
        with self._guard:
            if self.working:
                raise BadInput("A benchmark has just begun.", "Try again when it has ended.")
            return self._arena.start(request, keep=keep)

    def work(self) -> str:
        """Measure while the choices of the Compare tab load nothing."""
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
        while self._arena.busy and not self.cancelled.wait(POLL_S):
            pass
        if not self.cancelled.is_set():
            for host in self._arena.hosts.all():  # frees memory for the measured lanes
                if host.lane not in plan.lanes:
                    host.unload()
            for step in run(plan, self._arena, self.cancelled):
                self._step, self._step_at = step, time.monotonic()
                self.version += 1
        return self._end(plan)

    def _end(self, plan: Plan) -> str:
        result, step = self.result, self._step
        cancelled = self.cancelled.is_set()
        if result is not None and step is not None:
            self._arena.keep_benchmark(result)
            with self._arena.hosts.devices, models.paused():  # drawing must not disturb a run
                self.charts = draw(result)
        measured = result is not None and any(row.runs for row in result.results)
        if cancelled:
            self.detail = (
                "The runs that had finished are below." if measured else "No run had finished."
            )
            return CANCELLED
        if not measured:
            self.detail = "No lane could be measured."
            return FAILED
        self.detail = f"{plan.total} runs in {duration(time.monotonic() - self._began)}."
        return DONE

    def view(self, owner: bool) -> Json:
        """With the run being measured, the time left, and a line for each lane."""
        value, step, plan = super().view(owner), self._step, self._plan
        if not self.working or plan is None:
            return value
        turn = step.turn if step else None
        loading = step is None or (turn is None and step.done == 0)
        if loading:
            label, value["detail"] = self._waiting()
            value["label"] = value["label"] or label
        elif step and turn:
            value["label"] = value["label"] or "measuring"
            value["fraction"] = step.done / step.total
            value["detail"] = " · ".join(filter(None, self._parts(step)))
        else:
            value["label"] = value["label"] or "drawing the charts"
        if step is not None:
            value["items"] = [self._item(lane, step) for lane in plan.lanes]
        return value

    def _waiting(self) -> tuple[str, str]:
        """Label and detail before the first run: what it waits for."""
        plan, hosts = self._plan, self._arena.hosts
        assert plan is not None
        settled = all(hosts[lane].stage.name in ("ready", "failed") for lane in plan.lanes)
        if self._arena.busy and (settled or self._step is None):
            return "waiting", "for the run on the Compare tab to end"
        if self._step is None:
            return "starting", "Checking the machine."
        return "loading", ""

    def _parts(self, step: Step) -> list[str]:
        """Which run it is, the time left, the prompt's length."""
        assert step.turn is not None
        left = step.seconds_left
        if left is not None:
            left = max(left - (time.monotonic() - self._step_at), 0.0)
        tokens = f"{step.turn.prompt_tokens:,} prompt tokens"
        return [f"Run {step.done + 1} of {step.total}", time_left(left), tokens]

    def _item(self, lane: Lane, step: Step) -> Json:
        """The line of a lane: how far it has loaded, then whether it is being measured."""
        stage = self._arena.hosts[lane].stage
        state, label = ITEM_STATES.get(stage.name, WORKING), STATES[stage.name]
        if stage.fraction is not None:
            label += f" {stage.fraction:.0%}".replace("%", " %")
        if step.turn and lane in step.turn.lanes and state == DONE:
            state, label = WORKING, "measuring"
        return {"text": lane_label(lane), "state": state, "label": label, "note": ""}


def duration(seconds: float) -> str:
    """ "48 s", "3 min"."""
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"
