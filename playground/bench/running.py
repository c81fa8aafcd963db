"""A benchmark as a generator of steps, for the page and the command line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass

from playground import models
from playground.arena import MAX_LOADS, SETTLE_S, STATES_HZ, Arena, fault
from playground.bench import machine, memory_bandwidth
from playground.bench.plan import Plan
from playground.bench.prompts import TEXT, Prompts, prompts_of
from playground.bench.results import ResultRow
from playground.bench.schedule import Pace, Turn, turns
from playground.errors import BadInput, PlaygroundError
from playground.lanes.lane import Lane
from playground.lanes.tokenizers import tokenizer_of
from playground.models import Stage
from playground.runs.benchmark_record import BenchmarkMachine, BenchmarkResult, PowerRecord
from playground.runs.lane_run import LaneRun
from playground.runs.record import IN_TURN
from playground.runs.request import Request


@dataclass(frozen=True)
class Step:
    """The progress and the result so far.

    stages: of the lanes while they load; turn: what is measured next, None before and after;
    done, total: runs, warm-up included; seconds_left: None until a run has ended.
    """

    result: BenchmarkResult
    done: int
    total: int
    seconds_left: float | None = None
    turn: Turn | None = None
    stages: tuple[tuple[Lane, Stage], ...] = ()


def run(plan: Plan, arena: Arena, stop: threading.Event) -> Iterator[Step]:
    """Load all lanes, measure, and yield a step for each change; the last one has the result.

    The last step holds all runs that ended before `stop` was set. The rows of a lane that fails
    have its error. Raises BadInput when a length turns out to exceed the model's context.
    """
    benchmark = _Benchmark(plan, arena, stop)
    hosts = [arena.hosts[lane] for lane in plan.lanes]
    for host in hosts:
        host.unload_if_idle()  # loads and first runs after them are measured
        host.join_run()
    try:
        benchmark.describe_machine()
        for attempt in range(MAX_LOADS):
            yield from benchmark.load()
            if stop.is_set():
                break
            with arena.hosts.devices, models.paused():
                if benchmark.is_ready() or attempt == MAX_LOADS - 1:
                    yield from benchmark.measure()
                    break
        yield benchmark.step()
    finally:
        for host in hosts:
            host.leave_run()


class _Benchmark:
    def __init__(self, plan: Plan, arena: Arena, stop: threading.Event) -> None:
        self._plan, self._arena, self._stop = plan, arena, stop
        self._request = Request(
            TEXT,
            plan.lanes,
            plan.mode,
            max_new_tokens=plan.new_tokens,
            model=plan.model,
            ignore_eos=True,
        )
        self._rows: dict[tuple[Lane, int], ResultRow] = {}
        self._failed: dict[Lane, PlaygroundError] = {}  # the lanes that have failed
        self._fresh: set[Lane] = set()  # loaded for this benchmark, and not run since
        self._bad_input: BadInput | None = None
        self._machine = BenchmarkMachine()
        self._prompts: Prompts | None = None
        self._pace = Pace()
        self._done = 0
        self._idle_w: float | None = None

    def step(
        self,
        turn: Turn | None = None,
        seconds_left: float | None = None,
        stages: tuple[tuple[Lane, Stage], ...] = (),
    ) -> Step:
        copy = self._machine.memory_copy
        if self._done:
            self._machine = self._machine.model_copy(update={"after": machine.conditions()})
        order = [(lane, n) for lane in self._plan.lanes for n in self._plan.prompt_tokens]
        rows = [self._rows[key] for key in order if key in self._rows]
        result = BenchmarkResult(
            settings=self._plan.settings(),
            machine=self._machine,
            results=[row.record(self._stop.is_set(), copy) for row in rows],
        )
        return Step(result, self._done, self._plan.total, seconds_left, turn, stages)

    def describe_machine(self) -> None:
        """Describe the machine before anything is loaded, while no run is in progress."""
        with self._arena.hosts.devices, models.paused():
            copy = memory_bandwidth.measure()
        self._machine = machine.describe(self._plan.lanes, copy)

    def load(self) -> Iterator[Step]:
        """Load all lanes. When the benchmark is stopped, a load in progress continues."""
        lanes = self._plan.lanes
        shown: tuple[tuple[Lane, Stage], ...] = ()
        pool = ThreadPoolExecutor(len(lanes), thread_name_prefix="bench")
        pending = {pool.submit(self._make_ready, lane) for lane in lanes}
        while pending and not self._stop.is_set():
            _, pending = wait(pending, timeout=1 / STATES_HZ)
            stages = tuple((lane, self._arena.hosts[lane].stage) for lane in lanes)
            if stages != shown:
                shown = stages
                yield self.step(stages=stages)
        pool.shutdown(wait=False, cancel_futures=True)
        if self._bad_input:
            raise self._bad_input

    def _make_ready(self, lane: Lane) -> None:
        host, plan = self._arena.hosts[lane], self._plan
        try:
            if not host.is_ready(plan.model, plan.capacity):
                host.make_ready(plan.model, plan.capacity)
                self._fresh.add(lane)
        except BadInput as error:
            self._bad_input = error
        except PlaygroundError as error:
            self._give_up(lane, error)
        except Exception as error:
            self._give_up(lane, fault(lane, error))

    def is_ready(self) -> bool:
        """Whether all lanes are still loaded: while the devices were free, a lane may have been
        loaded with another model."""
        plan, hosts = self._plan, self._arena.hosts
        lanes = [lane for lane in plan.lanes if lane not in self._failed]
        return all(hosts[lane].is_ready(plan.model, plan.capacity) for lane in lanes)

    def _give_up(self, lane: Lane, error: PlaygroundError) -> None:
        """Measure the lane no more; all its rows that lack runs get the error."""
        self._failed[lane] = error
        for tokens in self._plan.prompt_tokens:
            row = self._row(lane, tokens)
            if row.open:
                row.fail(self._lane_run(lane), error)

    def measure(self) -> Iterator[Step]:
        sampler = self._arena.sampler
        sampler.sample_now()
        power: dict[str, object] = {"power_source": PowerRecord(**asdict(sampler.power_source))}
        if self._plan.mode == IN_TURN:
            self._idle_w = power["idle_w"] = sampler.idle_watts(self._stop)
        self._machine = self._machine.model_copy(update=power)
        remaining = turns(self._plan)
        last: tuple[Lane, ...] = ()
        while remaining and not self._stop.is_set():
            turn = remaining[0]
            working = [lane for lane in turn.lanes if lane not in self._failed]
            lanes = [lane for lane in working if self._row(lane, turn.prompt_tokens).open]
            if lanes:
                ahead = [turn for turn in remaining if not self._failed.keys() >= {*turn.lanes}]
                yield self.step(turn=turn, seconds_left=self._pace.left(ahead))
                began = time.monotonic()
                if last not in ((), turn.lanes):
                    self._stop.wait(SETTLE_S)
                last = turn.lanes
                self._run(turn, lanes)
                self._pace.add(turn, time.monotonic() - began)
            if not self._stop.is_set():
                self._done += len(turn.lanes)
            remaining.pop(0)

    def _run(self, turn: Turn, lanes: list[Lane]) -> None:
        """One run of each of these lanes, all at the same time."""
        runs = [self._prepared_run(lane, turn) for lane in lanes]
        threads = [
            threading.Thread(target=_generate, args=(run,), name=run.lane.name, daemon=True)
            for run in runs
        ]
        sampler = self._arena.sampler
        with sampler.recording() as samples:
            sampler.sample_now()
            for thread in threads:
                thread.start()
            for thread, run in zip(threads, runs, strict=True):
                while thread.is_alive():
                    thread.join(1 / STATES_HZ)
                    if self._stop.is_set() and not run.stopping:
                        for running in runs:
                            running.stop()
            sampler.sample_now()
        for run in runs:
            run.observe(samples, self._idle_w)
            self._add(run, turn)

    def _add(self, run: LaneRun, turn: Turn) -> None:
        row, planned = self._row(run.lane, turn.prompt_tokens), self._plan.new_tokens
        if run.status == "stopped":
            return
        if run.status == "ok" and len(run.times) == planned:
            row.add(run, counts=turn.counts, first=run.lane in self._fresh)
        elif run.error:
            row.fail(run, run.error)
            if not run.host.worker.alive:
                self._give_up(run.lane, run.error)
        else:
            row.fail(run, _too_few(len(run.times), planned))
        self._fresh.discard(run.lane)

    def _row(self, lane: Lane, tokens: int) -> ResultRow:
        if (lane, tokens) not in self._rows:
            self._rows[lane, tokens] = ResultRow(self._lane_run(lane), tokens, self._plan.runs)
        return self._rows[lane, tokens]

    def _lane_run(self, lane: Lane) -> LaneRun:
        return LaneRun(self._request, self._arena.hosts[lane])

    def _prepared_run(self, lane: Lane, turn: Turn) -> LaneRun:
        run = self._lane_run(lane)
        run.tokenizer = tokenizer_of(lane, self._plan.model)
        if self._prompts is None:
            self._prompts = prompts_of(lane, self._plan.model, run.tokenizer)
        run.prompt = self._prompts(turn.prompt_tokens, turn.round)
        return run


def _generate(run: LaneRun) -> None:
    try:
        run.check_prompt_length()
        run.generate()
    except PlaygroundError as error:
        run.fail(error)
    except Exception as error:
        run.fail(fault(run.lane, error))


def _too_few(tokens: int, planned: int) -> PlaygroundError:
    return PlaygroundError(
        f"The lane's capacity was reached after {tokens:,} of {planned:,} new tokens.",
        "Choose shorter prompts or fewer new tokens.",
    )
