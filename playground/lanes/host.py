"""Gets lanes ready: prepares the model, starts the worker, loads it and warms it up."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from backends.base import LoadedWeights
from playground import devices, models
from playground.errors import BadInput, PlaygroundError, PreparationError, Unavailable, WorkerError
from playground.lanes import memory
from playground.lanes.lane import CAPACITIES, Lane, capacity_for, status
from playground.lanes.tokenizers import tokenizer_of
from playground.models import Stage
from playground.paths import home
from playground.prompt import Tokenizer
from playground.workers import npu_environment
from playground.workers.events import LoadedLane
from playground.workers.process import Worker

# Unrelated to any prompt: the warm-up only brings code and weights into memory.
WARM_UP_TEXT = "Seven grey herons stood in the shallow river."
TokensNeeded = Callable[[Tokenizer], int]  # tokens of prompt and answer that a run needs
NO_TEMPLATE = "A base model without a chat template: it continues the prompt as plain text."
IDLE = Stage("idle", None, "")
READY = Stage("ready", None, "")
DEFERRED = Stage("wait", None, "its turn: memory is too small for all lanes at once")

log = logging.getLogger(__name__)


class Host:
    """One lane and its worker. Any thread may call `make_ready` at any time."""

    def __init__(self, lane: Lane, devices: threading.Lock, forced: Callable[[], bool]) -> None:
        self.lane = lane
        self._stage = IDLE
        self.error: PlaygroundError | None = None
        self.loaded: LoadedLane = {}
        self.weights: LoadedWeights | None = None
        self.worker = worker_of(lane)
        self._devices = devices  # held while an engine works, so that no load disturbs a run
        self._forced = forced  # whether to load however little memory is free
        self._model: str | None = None
        self._tokenizer: Tokenizer | None = None
        self._start = 0  # the count of the worker's starts when the model was loaded
        self._busy = threading.Lock()
        self._cancel = threading.Event()
        self._leaving = False  # to be unloaded as soon as no run needs it
        self._chosen: str | None = None  # the model that was chosen last
        self._closed = False
        self._runs = 0  # that need it now
        self._counting = threading.Lock()

    def is_ready(self, model: str, tokens_needed: TokensNeeded | None = None) -> bool:
        """Whether it can answer at once, and with so many tokens."""
        same_process = self.worker.alive and self._start == self.worker.starts
        if not (same_process and self._model == model and self.loaded):
            return False
        try:
            tokenizer = tokenizer_of(self.lane, model)
        except PreparationError:
            return False
        if tokenizer is not self._tokenizer:  # the model's files have changed
            return False
        capacity = self.loaded.get("capacity")
        if capacity is None or tokens_needed is None:
            return True
        return capacity >= capacity_for(tokens_needed(tokenizer), tokenizer.context)

    def can_join(self, model: str) -> bool:
        """Whether a run would at most wait for a load, not for the model to be prepared."""
        if self.is_ready(model):
            return True
        failed = isinstance(self.error, PreparationError | Unavailable)
        if failed and not isinstance(self.error, memory.NotEnoughMemory):  # enough may be free now
            return False
        return status(self.lane, model).status != "needs-model"

    @property
    def stage(self) -> Stage:
        """What its column shows; a worker that died unnoticed is not ready."""
        if self._stage is READY and not self.worker.alive:
            return IDLE
        return self._stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._stage = stage

    def make_ready(
        self, model: str, tokens_needed: TokensNeeded | None = None, *, in_background: bool = False
    ) -> None:
        """Prepare, load and warm up as far as necessary, for so many tokens.

        Raises Unavailable or PreparationError when this machine cannot run the lane (or, as
        NotEnoughMemory, not now) and WorkerError when its engine fails; the stage shows the error
        until the next attempt.
        """
        with self._busy:
            self._cancel.clear()
            overtaken = in_background and (self._leaving or model != self._chosen)
            if overtaken or self.is_ready(model, tokens_needed):
                return
            if self._closed:
                raise models.Cancelled
            self.error = None
            try:
                self._load(model, tokens_needed)
                self.stage = READY
            except (models.Cancelled, BadInput):  # BadInput: the prompt is too long
                self.stage = IDLE
                raise
            except PlaygroundError as error:
                self.error = error
                self.stage = Stage("failed", None, error.message)
                raise
            except Exception as error:
                log.exception("%s could not be made ready", self.lane.name)
                message = f"The lane could not be made ready: {error}."
                self.error = WorkerError(message, "Details are in the log.")
                self.stage = Stage("failed", None, self.error.message)
                raise self.error from error

    def load_in_background(self, model: str) -> None:
        """Make it ready in a thread; errors are shown by its stage."""
        self._leaving, self._chosen = False, model
        if not self.is_ready(model):
            threading.Thread(target=self._in_background, args=(model,), daemon=True).start()

    def release(self) -> None:
        """Cancel its preparation and unload it in a thread, once no run needs it."""
        self._leaving = True
        if self._runs == 0 and (self.worker.alive or self._busy.locked()):
            self._cancel.set()
            threading.Thread(target=self._unload, daemon=True).start()

    def join_run(self) -> None:
        """Keep it loaded for a run until `leave_run`."""
        with self._counting:
            self._runs += 1

    def leave_run(self) -> None:
        with self._counting:
            self._runs -= 1
        if self._leaving:
            self.release()

    def unload_if_idle(self) -> float:
        """End the worker if no run needs it and it is not loading; returns the MB that it used."""
        if not self._busy.acquire(blocking=False):
            return 0.0
        try:
            used = self.worker.rss_mb()
            if self._runs or used is None:  # a run that starts now waits and then loads it again
                return 0.0
            self._forget()
            return used
        finally:
            self._busy.release()

    def defer(self, why: PlaygroundError) -> None:
        """Show that it will be loaded in its turn, when the other lanes are unloaded."""
        log.info("%s waits for its turn: %s", self.lane.name, why.message)
        self.error, self.stage = None, DEFERRED

    def undefer(self) -> None:
        """Undo `defer` when its turn is over or will not come."""
        if self._stage is DEFERRED:
            self.stage = IDLE

    def unload(self) -> None:
        """End the worker after its run, unless another run needs it too."""
        with self._busy:
            if self._runs <= 1:
                self._forget()

    def close(self) -> None:
        self._closed = True
        self._cancel.set()
        self.worker.close()

    def _in_background(self, model: str) -> None:
        with contextlib.suppress(PlaygroundError):  # the stage says it
            self.make_ready(model, in_background=True)

    def _unload(self) -> None:
        with self._busy, self._devices:
            if self._leaving and self._runs == 0:
                self._forget()

    def _forget(self) -> None:
        self.worker.close()
        self.loaded, self._model, self.stage, self.error = {}, None, IDLE, None

    def _load(self, model: str, tokens_needed: TokensNeeded | None) -> None:
        lane = self.lane
        lane_status = status(lane, model)
        if lane_status.status in ("not-installed", "unavailable"):
            raise Unavailable(lane_status.reason, lane_status.fix)
        folder, weights = "", self.weights
        if lane.needs_model:
            what = (model, lane.format, lane.precision)
            folder = str(models.prepare(*what, self._report, self._cancel))
            weights = models.weights(*what) or weights
        tokenizer = tokenizer_of(lane, model)
        capacity = tokenizer.context
        tokens = min(tokens_needed(tokenizer) if tokens_needed else CAPACITIES[1], capacity)
        if lane.support.fixed_capacity:
            capacity = tokens = capacity_for(tokens, capacity)
        self.stage = Stage("wait", None, "the engines to be free")
        with self._devices, models.paused():
            if self._cancel.is_set():
                raise models.Cancelled
            self.stage = Stage("load", None, lane.engine.title)
            if self._model is not None:
                self.worker.close()  # only a new process frees all memory of the old model
            self.loaded = {}
            if lane.needs_model and not self._forced():
                memory.check(lane, models.title(model), weights, Path(folder), tokens)
            gpus = devices.discover().dml if lane.kind == "DML" else ()
            for event in self.worker.ask(
                "load",
                model=folder,
                device=lane.device,
                precision=lane.precision,
                capacity=capacity,
                adapters=[{"name": gpu.full_name, "luid": gpu.luid} for gpu in gpus],
                warm_up=tokenizer.ids(WARM_UP_TEXT),
            ):
                if event["event"] != "loaded":
                    raise WorkerError("Loading was stopped.", "Run it again.")
                self.loaded = event
            self.weights = self.loaded.get("weights") or weights
            if not tokenizer.has_template and lane.needs_model:
                self.loaded["notes"] = [*self.loaded.get("notes", ()), NO_TEMPLATE]
            self._model, self._start = model, self.worker.starts
            self._tokenizer = tokenizer

    def _report(self, stage: Stage) -> None:
        self.stage = stage


class Hosts:
    """The hosts of all lanes that this program has used."""

    def __init__(self) -> None:
        self.devices = threading.Lock()
        self.force = False  # load even where memory seems too small
        self._hosts: dict[Lane, Host] = {}
        self._lock = threading.Lock()

    def __getitem__(self, lane: Lane) -> Host:
        with self._lock:
            if lane not in self._hosts:
                self._hosts[lane] = Host(lane, self.devices, lambda: self.force)
            return self._hosts[lane]

    def all(self) -> list[Host]:
        with self._lock:
            return list(self._hosts.values())

    def pids(self) -> dict[str, int]:
        """The process ids of the running workers by lane name, for the gauges."""
        running = [host for host in self.all() if host.worker.alive]
        return {host.lane.name: pid for host in running if (pid := host.worker.pid) is not None}

    def choose(self, chosen: list[Lane], model: str) -> None:
        """Load these lanes in the background and unload all others."""
        for host in (host for host in self.all() if host.lane not in chosen):
            host.release()
        for lane in chosen:
            self[lane].load_in_background(model)

    def unload_idle(self) -> float:
        """End the workers that no run needs; returns the MB of resident memory that they used."""
        return sum(host.unload_if_idle() for host in self.all())

    def close(self) -> None:
        for host in self.all():
            host.close()


def worker_of(lane: Lane) -> Worker:
    """The lane's worker, not yet started, with the Python that has its library."""
    python = npu_environment.python() if lane.engine.own_environment else sys.executable
    cache = {"AIPC_CACHE": str(home() / "cache")}
    return Worker(lane.engine.target, log_file(lane), python=str(python), environment=cache)


def log_file(lane: Lane) -> Path:
    """The file to which the lane's worker writes its stderr."""
    return home() / "logs" / f"worker-{lane.name.replace(':', '-')}.log"
