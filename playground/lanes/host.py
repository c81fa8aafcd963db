"""A lane made ready: its model prepared, its worker started, loaded and warm.

The stage a host is in is what its column shows before there is an answer.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playground import devices, models
from playground.errors import BadInput, PlaygroundError, PreparationError, Unavailable, WorkerError
from playground.lanes import lane as lanes
from playground.lanes import memory
from playground.lanes.lane import Lane
from playground.lanes.tokenizers import tokenizer_of
from playground.models import Stage
from playground.paths import home
from playground.prompt import Tokenizer
from playground.workers import npu_environment
from playground.workers.process import Worker

# Unrelated to any prompt: the warm-up is to bring code and weights into memory, no more.
WARM_UP_TEXT = "Seven grey herons stood in the shallow river."
# Tokens of prompt and answer that an engine with static shapes makes room for while it loads: each
# is compiled anew, so there are few. The middle one unless a prompt asks for more.
CAPACITIES = (256, 1024, 4096)
TokensNeeded = Callable[[Tokenizer], int]  # what a run needs, when its tokenizer is known
NO_TEMPLATE = "A base model without a chat template: it goes on with the prompt as plain text."
IDLE = Stage("idle", None, "")
READY = Stage("ready", None, "")
DEFERRED = Stage("wait", None, "its turn: memory is too small for all lanes at once")

log = logging.getLogger(__name__)


class Host:
    """One lane and its worker. `make_ready` may be called from any thread, as often as wanted."""

    def __init__(self, lane: Lane, devices: threading.Lock, forced: Callable[[], bool]) -> None:
        self.lane = lane
        self._stage = IDLE
        self.error: PlaygroundError | None = None
        self.loaded: dict[str, Any] = {}  # what the worker told after loading
        self.weights: dict[str, Any] = {"recipe": None, "bytes": None, "read_bytes": None}
        self.worker = worker_of(lane)
        self._devices = devices  # held while an engine works, so that no load disturbs a run
        self._forced = forced  # to load whatever memory is free
        self._model: str | None = None
        self._tokenizer: Tokenizer | None = None
        self._start = 0  # the worker's start in which the model was loaded
        self._busy = threading.Lock()
        self._cancel = threading.Event()
        self._leaving = False  # to be unloaded as soon as no run needs it
        self._wanted: str | None = None  # the model that was chosen last
        self._closed = False
        self._runs = 0  # that need it now
        self._counting = threading.Lock()

    def is_ready(self, model: str, room: TokensNeeded | None = None) -> bool:
        """Whether it can answer at once; `room`: for as many tokens."""
        same_process = self.worker.alive and self._start == self.worker.starts
        if not (same_process and self._model == model and self.loaded):
            return False
        try:
            tokenizer = tokenizer_of(self.lane, model)
        except PreparationError:
            return False
        if tokenizer is not self._tokenizer:  # what lies at the model's path has changed
            return False
        capacity = self.loaded.get("capacity")
        if capacity is None or room is None:
            return True
        return bool(capacity >= capacity_for(room(tokenizer), tokenizer.context))

    def can_join(self, model: str) -> bool:
        """Whether a run now would wait for a load at most, not for a model to be made."""
        if self.is_ready(model):
            return True
        hopeless = isinstance(self.error, PreparationError | Unavailable)
        if isinstance(self.error, memory.NotEnoughMemory):  # there may be by now
            hopeless = False
        return not hopeless and lanes.status(self.lane, model).status != "needs-model"

    @property
    def stage(self) -> Stage:
        """What its column shows; a worker that died in silence is not ready."""
        if self._stage is READY and not self.worker.alive:
            return IDLE
        return self._stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._stage = stage

    def make_ready(
        self, model: str, room: TokensNeeded | None = None, *, in_background: bool = False
    ) -> None:
        """Prepare, load and warm up whatever is not yet so, with room for as many tokens.

        Raises Unavailable or PreparationError when this machine cannot have the lane (or, as
        NotEnoughMemory, not now), WorkerError when its engine fails; the stage then says so until
        the next try.
        """
        with self._busy:
            self._cancel.clear()
            overtaken = in_background and (self._leaving or model != self._wanted)
            if overtaken or self.is_ready(model, room):
                return
            if self._closed:
                raise models.Cancelled
            self.error = None
            try:
                self._load(model, room)
                self.stage = READY
            except (models.Cancelled, BadInput):  # called off; a prompt that is too long
                self.stage = IDLE
                raise
            except PlaygroundError as error:
                self.error = error
                self.stage = Stage("failed", None, error.message)
                raise
            except Exception as error:
                log.exception("%s could not be made ready", self.lane.name)
                self.error = WorkerError(
                    f"The lane could not be made ready: {error}.", "Details are in the log."
                )
                self.stage = Stage("failed", None, self.error.message)
                raise self.error from error

    def load_in_background(self, model: str) -> None:
        """Make it ready in the background."""
        self._leaving, self._wanted = False, model
        if not self.is_ready(model):
            threading.Thread(target=self._in_background, args=(model,), daemon=True).start()

    def release(self) -> None:
        """Cancel its preparation and unload it in the background, once no run needs it."""
        self._leaving = True
        if self._runs == 0 and (self.worker.alive or self._busy.locked()):
            self._cancel.set()
            threading.Thread(target=self._unload, daemon=True).start()

    def join_run(self) -> None:
        """A run needs it from now on: it is not unloaded until `leave_run`."""
        with self._counting:
            self._runs += 1

    def leave_run(self) -> None:
        with self._counting:
            self._runs -= 1
        if self._leaving:
            self.release()

    def unload_if_idle(self) -> float:
        """End the worker now where no run needs it and it is not loading; the MB that it had."""
        if not self._busy.acquire(blocking=False):
            return 0.0
        try:
            had = self.worker.rss_mb()
            if self._runs or had is None:  # a run that comes now waits for us, and loads it anew
                return 0.0
            self._forget()
            return had
        finally:
            self._busy.release()

    def defer(self, why: PlaygroundError) -> None:
        """It will be loaded when its turn has come and the others are out of memory's way."""
        log.info("%s waits for its turn: %s", self.lane.name, why.message)
        self.error, self.stage = None, DEFERRED

    def undefer(self) -> None:
        """Its turn is over, or will not come."""
        if self._stage is DEFERRED:
            self.stage = IDLE

    def unload(self) -> None:
        """End the worker, whose run is over, unless another run needs it too."""
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

    def _load(self, model: str, room: TokensNeeded | None) -> None:
        lane = self.lane
        found = lanes.status(lane, model)
        if found.status in ("not-installed", "unavailable"):
            raise Unavailable(found.reason, found.fix)
        folder, weights = "", self.weights
        if lane.needs_model:
            what = (model, lane.format, lane.precision)
            folder = str(models.prepare(*what, self._report, self._cancel))
            weights = models.weights(*what) or weights
        tokenizer = tokenizer_of(lane, model)
        capacity = tokenizer.context
        tokens = min(room(tokenizer) if room else CAPACITIES[1], capacity)
        if lane.support.fixed_capacity:
            capacity = tokens = capacity_for(tokens, capacity)
        self.stage = Stage("wait", None, "the engines to be free")
        with self._devices, models.paused():
            if self._cancel.is_set():
                raise models.Cancelled
            self.stage = Stage("load", None, lane.engine.title)
            if self._model is not None:
                self.worker.close()  # a fresh process returns all memory of what it held
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
                self.loaded = {k: v for k, v in event.items() if k not in ("id", "event")}
            self.weights = self.loaded.get("weights") or weights
            if not tokenizer.has_template and lane.needs_model:
                self.loaded["notes"] = [*self.loaded.get("notes", ()), NO_TEMPLATE]
            self._model, self._start = model, self.worker.starts
            self._tokenizer = tokenizer

    def _report(self, stage: Stage) -> None:
        self.stage = stage


class Hosts:
    """All lanes of this program that were ever wanted, by lane."""

    def __init__(self) -> None:
        self.devices = threading.Lock()
        self.force = False  # load also what memory seems too small for
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
        """The workers that run, by lane name: for the gauges."""
        pids = {host.lane.name: host.worker.pid for host in self.all() if host.worker.alive}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def choose(self, chosen: list[Lane], model: str) -> None:
        """Load these lanes in the background and unload all others."""
        for host in self.all():
            if host.lane not in chosen:
                host.release()
        for lane in chosen:
            self[lane].load_in_background(model)

    def unload_idle(self) -> float:
        """End the workers that no run needs, and whose memory the next run takes again; the MB of
        resident memory that came back."""
        return sum(host.unload_if_idle() for host in self.all())

    def close(self) -> None:
        for host in self.all():
            host.close()


def worker_of(lane: Lane) -> Worker:
    """Its worker, not yet started, on the Python that has its library."""
    python = npu_environment.python() if lane.engine.own_environment else sys.executable
    cache = {"AIPC_CACHE": str(home() / "cache")}
    return Worker(lane.engine.target, log_file(lane), python=str(python), environment=cache)


def capacity_for(tokens: int, context: int) -> int:
    """The smallest of ROOMS that holds so many tokens, or else the largest; never more than the
    model's context."""
    return min(next((room for room in CAPACITIES if room >= tokens), CAPACITIES[-1]), context)


def log_file(lane: Lane) -> Path:
    """Where the worker of a lane writes its stderr."""
    return home() / "logs" / f"worker-{lane.name.replace(':', '-')}.log"
