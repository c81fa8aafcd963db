"""The child's side of a worker: `python -m playground.workers.worker module:Class`.

It holds one backend; requests and events (events.py) are JSON lines on pipes. It imports only the
standard library and `backends`, since it may run on another Python: the NPU library needs its own.

    → {"id":1,"do":"load",…}        ← {"id":1,"event":"loaded",…}
    → {"id":2,"do":"generate",…}    ← {"id":2,"event":"begun","t_ns":…}
                                    ← {"id":2,"event":"tokens","ids":[…],"t_ns":[…]}
    → {"id":2,"do":"stop"}          ← {"id":2,"event":"end","reason":"stop|length|context|stopped"}
    stdin closed: quit              ← {"id":2,"event":"error","error":code,"message":…,"fix":…}
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, cast

from backends.base import Adapter, Backend, BackendError, Options
from playground.workers.events import ErrorCode, ErrorEvent, Event, FinishReason

BATCH_S = 0.03
WARM_UP_TOKENS = 16
# No engine here needs images, and a torchvision that does not match torch (the index's CUDA build
# beside a CPU build of torch) breaks the import of optimum.intel. OpenVINO's telemetry has no
# switch; OpenVINO works without the package.
BLOCKED = ("torchvision", "openvino_telemetry")

Request = dict[str, Any]
Token = tuple[int, int, int]  # request, token id, time in ns
Item = Event | Token


def block_packages() -> None:
    """Make the import of packages that nobody needs fail, at no cost."""
    for package in BLOCKED:
        sys.modules[package] = None  # type: ignore[assignment]


def take_stdin() -> int:
    """Move the pipe away from file descriptor 0, which libraries may read or inherit."""
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return pipe


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes of file descriptors 0 and 1 for ourselves and give the SDKs others.

    What an SDK prints, in Python or natively, then goes to stderr and never among the events; and
    on Windows no import can hang on a stdin that a thread is reading (numpy #24290,
    cpython #78961).
    """
    requests, replies = os.fdopen(take_stdin(), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, replies


class Sender:
    """Sends events from a thread of its own: taking a token's time must never wait for the pipe.

    The first token is sent at once, the following ones in batches of 30 ms, any event at once.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._hurry = threading.Event()
        threading.Thread(target=self._write, name="events", daemon=True).start()

    def event(self, event: Event) -> None:
        self._items.put(event)
        self._hurry.set()

    def token(self, request: int, token: int, t_ns: int) -> None:
        self._items.put((request, token, t_ns))

    def _write(self) -> None:
        while True:
            items = [self._items.get()]
            while not self._items.empty():  # this thread alone takes items
                items.append(self._items.get())
            try:
                for event in as_events(items):
                    self._pipe.write(json.dumps(event).encode("ascii") + b"\n")
                self._pipe.flush()
            except OSError:  # the parent is gone
                os._exit(0)
            if isinstance(items[-1], tuple):
                self._hurry.wait(BATCH_S)
            self._hurry.clear()


def as_events(items: Sequence[Item]) -> Iterator[Event]:
    """Combine consecutive tokens of one request into one event."""
    for request, group in groupby(items, lambda item: item[0] if isinstance(item, tuple) else None):
        if request is None:
            yield from cast(Iterator[Event], group)
        else:
            _, ids, times = zip(*cast(Iterator[Token], group), strict=True)
            yield {"id": request, "event": "tokens", "ids": list(ids), "t_ns": list(times)}


def error_event(request: int, error: Exception) -> ErrorEvent:
    message, fix = str(error) or type(error).__name__, ""
    code: ErrorCode = "exception"
    if isinstance(error, BackendError):
        code, fix = "backend", error.fix
    return {"id": request, "event": "error", "error": code, "message": message, "fix": fix}


class RequestLoop:
    """One backend and the requests to it, one after another."""

    def __init__(self, backend: Backend, requests: BinaryIO, sender: Sender) -> None:
        self._backend = backend
        self._requests = requests
        self._send = sender
        self._requested: SimpleQueue[Request] = SimpleQueue()
        self._stopped: set[int] = set()

    def serve(self) -> None:
        """Answer requests until stdin is closed."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while True:
            message = self._requested.get()
            request = message["id"]
            try:
                if message["do"] == "load":
                    self._load(message)
                else:
                    self._generate(message)
            except Exception as error:
                traceback.print_exc()
                self._send.event(error_event(request, error))
            self._stopped.discard(request)

    def _read(self) -> None:
        for line in self._requests:
            message = json.loads(line)
            if message["do"] == "stop":
                self._stopped.add(message["id"])
            else:
                self._requested.put(message)
        os._exit(0)  # stdin closed: the parent wants us to end, or is gone

    def _load(self, message: Request) -> None:
        """Load, then generate once from ids unrelated to any prompt and discard the answer."""
        self._backend.adapters = [Adapter(**fields) for fields in message.get("adapters", ())]
        start = time.perf_counter()
        loaded = self._backend.load(
            Path(message["model"]), message["device"], message["precision"], message["capacity"]
        )
        load_s = time.perf_counter() - start
        warm_up = Options(max_new_tokens=WARM_UP_TOKENS, ignore_eos=True)
        for _ in self._backend.generate(message["warm_up"], warm_up):
            pass
        event: Any = {"id": message["id"], "event": "loaded", "load_s": load_s, "warm": True}
        self._send.event(event | asdict(loaded))

    def _generate(self, message: Request) -> None:
        request, prompt = message["id"], message["prompt"]
        options = Options(**message["options"])
        stop_ids = frozenset() if options.ignore_eos else frozenset(options.stop_ids)
        clock, token_out, stopped = time.perf_counter_ns, self._send.token, self._stopped
        count = 0
        reason: FinishReason = "context"
        self._send.event({"id": request, "event": "begun", "t_ns": clock()})
        steps = self._backend.generate(prompt, options)
        try:
            for token in steps:
                token_out(request, token, clock())
                count += 1
                if token in stop_ids:
                    reason = "stop"
                elif count >= options.max_new_tokens:
                    reason = "length"
                elif request in stopped:
                    reason = "stopped"
                else:
                    continue
                break
        finally:
            steps.close()
        self._send.event({"id": request, "event": "end", "reason": reason, "t_ns": clock()})


def main() -> None:
    """Take the pipes before anything else is imported or started, then serve."""
    requests, replies = take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and closes our stdin
    block_packages()
    sender = Sender(replies)
    sender.event({"id": 0, "event": "hello", "pid": os.getpid()})
    module, name = sys.argv[1].split(":")
    backend = getattr(importlib.import_module(module), name)()
    RequestLoop(backend, requests, sender).serve()


if __name__ == "__main__":
    main()
