"""The parent's side of a worker: start, ask, stop, close. Loading starts a dead worker again."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal, cast

import psutil

from playground.errors import WorkerDied, WorkerError
from playground.workers import subprocesses
from playground.workers.events import ErrorEvent, Event
from playground.workers.liveness import SignsOfLife, exit_text

ENDS = ("loaded", "end", "error")
STOP_S = 2.0  # a worker that does not obey a stop for this long is killed
TOKEN_PATIENCE_S = 30.0  # the longest silence between two tokens: no event and no CPU time
START_PATIENCE_S = 180.0  # the same while starting, loading or in prefill, when a device may work
CHECK_EVERY_S = 0.25

log = logging.getLogger(__name__)


class Worker:
    """One child process and the requests to it, one at a time.

    target: "module:Class" of the backend. log_file: receives its stderr, truncated at each start.
    environment: variables in addition to those of every child.
    """

    def __init__(
        self,
        target: str,
        log_file: Path,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        token_patience_s: float = TOKEN_PATIENCE_S,
        start_patience_s: float = START_PATIENCE_S,
    ) -> None:
        self.target = target
        self.log_file = log_file
        self.pid: int | None = None  # from the worker itself: on Windows not the launcher's
        self.starts = 0  # processes started so far: if it has changed, no model is loaded
        self._python = python
        self._environment = dict(environment or {})
        self._token_patience_s = token_patience_s
        self._start_patience_s = start_patience_s
        self._popen: subprocess.Popen[bytes] | None = None
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._last_id = 0
        self._current = 0
        self._stop_at: float | None = None
        self._one_request = threading.Lock()
        self._writing = threading.Lock()

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def ask(self, do: Literal["load", "generate"], **arguments: Any) -> Generator[Event]:
        """Send one request and yield its events; the last one is "loaded" or "end".

        Raises WorkerError if the backend reports an error, WorkerDied if the process ends or gives
        no sign of life. Closing the generator early stops the request first.
        """
        with self._one_request:
            if do == "load":
                self._start_if_needed()
            elif not self.alive:  # a fresh process would answer with nothing loaded
                raise self._died()
            self._last_id += 1
            self._current, self._stop_at = self._last_id, None
            ended = False
            try:
                self._write({"id": self._current, "do": do, **arguments})
                for event in self._replies():
                    ended = event["event"] in ENDS
                    if event["event"] == "error":
                        raise self._as_error(event)
                    yield event
            finally:
                if not ended and self.alive:
                    self.stop()
                    for _ in self._replies():
                        pass
                self._current = 0

    def stop(self) -> None:
        """Stop the current request, if any; may be called from another thread."""
        current = self._current
        if current and self._stop_at is None:
            self._stop_at = time.monotonic()
            with contextlib.suppress(WorkerDied):
                self._write({"id": current, "do": "stop"})

    def close(self) -> None:
        """Ask the process to end by closing its stdin, and kill it if it does not."""
        popen, self._popen, self.pid = self._popen, None, None
        if popen is None:
            return
        with contextlib.suppress(OSError):
            assert popen.stdin is not None
            popen.stdin.close()
        subprocesses.end(popen, STOP_S)

    def kill(self) -> None:
        """Kill the process and its children at once."""
        if self._popen is not None:
            subprocesses.end(self._popen)

    def rss_mb(self) -> float | None:
        """Resident memory of the worker in MB; None if it does not run. Without its children: to
        find them reads all of /proc, and this is called while engines are being measured."""
        if not self.alive or self.pid is None:
            return None
        with contextlib.suppress(psutil.Error):
            return float(psutil.Process(self.pid).memory_info().rss / 1e6)
        return None

    def _start_if_needed(self) -> None:
        if self.alive:
            return
        self._events = SimpleQueue()
        self.pid = None
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("wb") as stderr:
                self._popen = subprocesses.start(
                    [self._python, "-X", "utf8", "-m", "playground.workers.worker", self.target],
                    environ=subprocesses.environment() | self._environment,
                    cwd=self.log_file.parent,
                    stdin=subprocess.PIPE,
                    stderr=stderr,
                )
        except OSError as error:
            raise WorkerError(
                f"The engine's process could not be started: {error}.",
                f"Check that {self.log_file.parent} can be written and that memory is free.",
            ) from error
        self.starts += 1
        threading.Thread(
            target=self._read, args=(self._popen, self._events), name="worker-events", daemon=True
        ).start()

    def _read(self, popen: subprocess.Popen[bytes], events: SimpleQueue[Event]) -> None:
        """Pass the events on; the last one is "gone"."""
        assert popen.stdin is not None and popen.stdout is not None
        with popen.stdout as lines:
            for message in filter(None, map(subprocesses.json_object, lines)):
                event = cast(Event, message)
                if event["event"] == "hello":
                    self.pid = event["pid"]
                else:
                    events.put(event)
        events.put({"id": 0, "event": "gone"})
        with self._writing, contextlib.suppress(OSError):
            popen.stdin.close()

    def _write(self, message: dict[str, object]) -> None:
        popen = self._popen
        if popen is None or popen.stdin is None:
            raise self._died()
        try:
            with self._writing:
                popen.stdin.write(json.dumps(message).encode("ascii") + b"\n")
                popen.stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: another thread has closed it
            raise self._died() from error

    def _replies(self) -> Generator[Event]:
        """Events of the current request; kills the process if it hangs."""
        life = SignsOfLife(self._start_patience_s)
        while True:
            try:
                event = self._events.get(timeout=CHECK_EVERY_S)
            except Empty:
                if self._stop_at is not None and time.monotonic() - self._stop_at > STOP_S:
                    log.warning("%s did not stop within %s s and was killed", self.target, STOP_S)
                    self.kill()
                    yield {"id": self._current, "event": "end", "reason": "stopped"}
                    return
                life.check_cpu(self.pid)
                if life.silent_for_s() > life.patience_s:
                    self.kill()
                    silent = f"gave no sign of life for {life.patience_s:g} s"
                    raise self._restartable(f"The engine {silent} and was stopped.") from None
                continue
            if event["event"] == "gone":
                raise self._died()
            if event["id"] != self._current:
                continue
            life.record()
            if event["event"] == "tokens":
                life.patience_s = self._token_patience_s
            yield event
            if event["event"] in ENDS:
                return

    def _as_error(self, event: ErrorEvent) -> WorkerError:
        if event["error"] == "backend":
            return WorkerError(event["message"], event["fix"])
        first_line = event["message"].strip().splitlines()[0][:160]
        return WorkerError(
            f"The engine reported an error: {first_line}",
            f"Run it again; if it fails again, see {self.log_file} for details.",
        )

    def _died(self) -> WorkerDied:
        code = None
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._popen.wait(STOP_S)
        return self._restartable(f"The engine's process ended unexpectedly ({exit_text(code)}).")

    def _restartable(self, message: str) -> WorkerDied:
        fix = f"Run it again: it restarts by itself. Details are in {self.log_file}."
        return WorkerDied(message, fix)
