"""Runs: a prompt is sent to its lanes, together or in turn, and their answers are collected.

The page, the command line and the API show what happens here.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

from playground import models
from playground.errors import BadInput, PlaygroundError, PreparationError
from playground.gauges.probes import Probes
from playground.gauges.readings import Sample
from playground.gauges.sampler import Sampler
from playground.history import Entry, History, HistoryWriter
from playground.lanes.host import Hosts
from playground.lanes.lane import Lane
from playground.lanes.memory import NotEnoughMemory
from playground.lanes.tokenizers import tokenizer_of
from playground.prompt import Tokenizer
from playground.runs.benchmark_record import BenchmarkResult
from playground.runs.lane_run import LaneRun
from playground.runs.record import IN_TURN, TOGETHER, RunResult
from playground.runs.request import Request

SETTLE_S = 0.5  # between lanes in turn, until the threads of the last engine are idle
STATES_HZ = 8
LOADING = "Waiting until all lanes are loaded."
IDLING = "Measuring idle power …"
MAX_LOADS = 4  # of a lane for one run, if other runs load another model in between
MIN_ANSWER_TOKENS = 64  # for which an engine with static shapes has capacity

log = logging.getLogger(__name__)


def fault(lane: Lane, error: Exception) -> PlaygroundError:
    """What to show for an error of this program; its traceback goes to the log."""
    log.error("%s failed", lane.name, exc_info=error)
    return PlaygroundError(f"The run failed: {error!r}.", "Details are in the log.")


class Arena:
    """Holds the workers and starts runs. Runs wait for each other: the devices are shared.

    history: None keeps no results. probes: of the gauges; default: this machine's.
    """

    def __init__(self, history: History | None = None, probes: Probes | None = None) -> None:
        self.hosts = Hosts()
        self.sampler = Sampler(self.hosts.pids, probes)
        self.history_writer = HistoryWriter(history)
        self._run: Run | None = None

    @property
    def busy(self) -> bool:
        """Whether a run is in progress."""
        return self._run is not None and not self._run.done.is_set()

    def start(self, request: Request, *, keep: bool = True) -> Run:
        """Begin a run in the background. Raises BadInput for a prompt that is too long, if the
        model's tokenizer is already here.

        keep: whether the result is added to the history.
        """
        run = Run(request, self.hosts, self.sampler, self.keep if keep else None)
        run.begin()
        self._run = run
        return run

    def keep(self, run: Run) -> None:
        """Add a run that has ended to the history, unless no lane began."""
        try:
            if run.error is None and any(lane.t0 or lane.error for lane in run.lanes.values()):
                gauges = [sample.as_dict() for sample in run.samples]
                self.history_writer.keep(Entry(run.result(), run.request.settings(), gauges))
        except Exception:  # a column must not wait for ever because of it
            log.exception("The run could not be kept")

    def keep_benchmark(self, result: BenchmarkResult) -> None:
        """Add a benchmark to the history, unless it has no results."""
        if result.results:
            self.history_writer.keep(Entry(result, result.settings))

    def close(self) -> None:
        """End all workers and the gauges; wait until the history is written."""
        self.hosts.close()
        self.sampler.close()
        self.history_writer.close()


class Run:
    """One prompt on some lanes. `done` is set when every lane has ended, successfully or not."""

    def __init__(
        self,
        request: Request,
        hosts: Hosts,
        sampler: Sampler,
        keep: Callable[[Run], None] | None = None,
    ) -> None:
        self.request = request
        self._keep = keep
        self.lanes = {lane: LaneRun(request, hosts[lane]) for lane in request.lanes}
        self.done = threading.Event()
        self.error: BadInput | None = None  # the request does not suit the model
        self.samples: list[Sample] = []  # of the gauges during the run
        self.waiting = LOADING  # what the run waits for, before the first lane begins
        self._hosts = hosts
        self._sampler = sampler
        self._idle_w: float | None = None
        self._stop = threading.Event()
        self._later: list[LaneRun] = []  # do not fit into memory beside the others
        self._prompts: dict[Tokenizer, tuple[list[int], int]] = {}  # ids, duration in ns
        self._tokenising = threading.Lock()

    def begin(self) -> None:
        """Raises BadInput for too long a prompt, if the model's tokenizer is already here."""
        for lane in self.lanes:
            if not lane.needs_model or models.tokenizer_folder(self.request.model):
                with contextlib.suppress(PreparationError):  # raised again when the lane is loaded
                    self._tokenise(tokenizer_of(lane, self.request.model))
        for run in self.lanes.values():
            run.host.join_run()
        threading.Thread(target=self._conduct, name="run", daemon=True).start()

    def stop(self, lane: Lane | None = None) -> None:
        """Stop one lane or all; the answers so far are kept."""
        if lane is None:
            self._stop.set()
        for run in self.lanes.values() if lane is None else [self.lanes[lane]]:
            run.stop()

    def states(self) -> Iterator[RunResult]:
        """The result so far, 8 times a second, and then the final one. Raises BadInput."""
        while not self.done.wait(1 / STATES_HZ):
            yield self.result()
        if self.error:
            raise self.error
        yield self.result()

    def result(self) -> RunResult:
        """The result so far. Prompt tokens are those of the model, if a lane runs one."""
        model_lanes = [run for lane, run in self.lanes.items() if lane.needs_model]
        counted = (model_lanes or list(self.lanes.values()))[0]
        return RunResult(
            mode=self.request.mode,
            model=self.request.model if model_lanes else "none",
            prompt_tokens=len(counted.prompt) or None,
            power_source=self._sampler.power_source.text,
            lanes=[run.record() for run in self.lanes.values()],
        )

    def _conduct(self) -> None:
        try:
            self._make_ready(list(self.lanes.values()))
            ready = [run for run in self.lanes.values() if not run.finished]
            if not ready:  # stopped, for example: do not wait for a load in progress
                return
            with self._sampler.recording() as self.samples:
                together = self.request.mode == TOGETHER
                fitting = [run for run in ready if run not in self._later]
                with self._devices(fitting):
                    self._together(fitting) if together else self._in_turn(fitting)
                for run in self._later:
                    self._swap_in(run)
                    with self._devices([run]):
                        self._in_turn([run])
        except Exception as error:
            for run in self.lanes.values():
                run.fail(fault(run.lane, error))
        finally:
            for run in self._later:
                run.host.undefer()
            if self._keep:
                self._keep(self)  # before `done` is set and the program may be closed
            self.done.set()
            for run in self.lanes.values():
                run.host.leave_run()

    @contextlib.contextmanager
    def _devices(self, runs: list[LaneRun]) -> Iterator[None]:
        """Hold all devices, with these lanes ready: while nobody held them, another model may have
        been loaded."""
        for attempt in range(MAX_LOADS):
            with self._hosts.devices:
                lost = [
                    run
                    for run in runs
                    if not (run.finished or run.host.is_ready(self.request.model, self._capacity))
                ]
                if not lost or attempt == MAX_LOADS - 1:
                    with models.paused():
                        yield
                    return
            self._make_ready(lost)

    def _make_ready(self, runs: list[LaneRun]) -> None:
        """Prepare and load these lanes; a lane that fails or is stopped ends its run."""
        pool = ThreadPoolExecutor(len(runs), thread_name_prefix="ready")
        pending = {pool.submit(self._make_lane_ready, run) for run in runs}
        while pending and not self._stop.is_set():
            _, pending = wait(pending, timeout=1 / STATES_HZ)
        pool.shutdown(wait=False, cancel_futures=True)
        if self._stop.is_set():  # a load in progress continues, for the next run
            for run in self.lanes.values():
                if not run.finished:
                    run.skip()

    def _make_lane_ready(self, run: LaneRun) -> None:
        try:
            run.host.make_ready(self.request.model, self._capacity)
            run.tokenizer = tokenizer_of(run.lane, self.request.model)
            run.prompt, run.tokenise_ns = self._tokenise(run.tokenizer)
            run.check_prompt_length()
        except BadInput as error:
            self.error = error
            run.fail(error)
        except NotEnoughMemory as error:
            if self.request.mode == IN_TURN and len(self.lanes) > 1 and run not in self._later:
                self._later.append(run)
                run.host.defer(error)
            else:
                run.fail(error)
        except PlaygroundError as error:
            run.fail(error)
        except Exception as error:
            run.fail(fault(run.lane, error))

    def _swap_in(self, run: LaneRun) -> None:
        """Unload the lanes whose run has ended, and load the next one."""
        if run.stopping:
            return
        for other in self.lanes.values():
            if other.finished:
                other.host.unload()
        self._make_ready([run])

    def _capacity(self, tokenizer: Tokenizer) -> int:
        """Tokens of prompt and answer that a lane must hold. Raises BadInput."""
        return len(self._tokenise(tokenizer)[0]) + max(
            self.request.max_new_tokens, MIN_ANSWER_TOKENS
        )

    def _tokenise(self, tokenizer: Tokenizer) -> tuple[list[int], int]:
        """The prompt's ids, made once for all lanes that share a tokenizer, and the time in ns.

        Raises BadInput when they fill the model's context.
        """
        with self._tokenising:
            if tokenizer not in self._prompts:
                start = time.perf_counter_ns()
                ids = tokenizer.ids(self.request.prompt, self.request.system)
                self._prompts[tokenizer] = ids, time.perf_counter_ns() - start
            ids, duration = self._prompts[tokenizer]
        if len(ids) >= tokenizer.context:
            raise BadInput(
                f"The prompt has {len(ids):,} tokens; the model's context, answer included, is "
                f"{tokenizer.context:,}.",
                "Shorten the prompt.",
            )
        return ids, duration

    def _together(self, ready: list[LaneRun]) -> None:
        threads = [
            threading.Thread(target=self._generate, args=(run,), name=run.lane.name, daemon=True)
            for run in ready
        ]
        self._sampler.sample_now()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _in_turn(self, ready: list[LaneRun]) -> None:
        if self._idle_w is None:
            self.waiting = IDLING
            self._idle_w = self._sampler.idle_watts(self._stop)
        for position, run in enumerate(ready):
            if position:
                self._stop.wait(SETTLE_S)
            self._sampler.sample_now()
            self._generate(run)

    def _generate(self, run: LaneRun) -> None:
        try:
            if run.stopping:
                run.skip()
            elif not run.finished:
                run.generate()
                self._sampler.sample_now()
                run.observe(self.samples, self._idle_w)
        except Exception as error:
            run.fail(fault(run.lane, error))
