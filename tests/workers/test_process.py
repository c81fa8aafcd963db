"""Workers as real child processes, well-behaved and not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from playground.errors import WorkerDied, WorkerError
from playground.paths import ROOT
from playground.workers.process import Worker
from playground.workers.subprocesses import environment

pytestmark = pytest.mark.engine

LOAD = {"model": "", "device": "CPU", "precision": "", "capacity": 256, "warm_up": [1]}
Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start and load a worker of tests.support.misbehaving; all are closed at the end."""
    workers: list[Worker] = []

    def begin(name: str, **settings: Any) -> Worker:
        worker = Worker(
            f"tests.support.misbehaving:{name}", tmp_path / "张三 Li" / "log.txt", **settings
        )
        workers.append(worker)
        list(worker.ask("load", **LOAD))
        return worker

    yield begin
    for worker in workers:
        worker.close()


def generate(worker: Worker, n: int, prompt: int = 13) -> Generator[Any]:
    return worker.ask("generate", prompt=[prompt], options={"max_new_tokens": n})


def ids_of(events: list[Any]) -> list[int]:
    return [token for event in events for token in event.get("ids", [])]


def test_tokens_arrive_in_order_with_rising_times_and_an_end(start: Start) -> None:
    events = list(generate(start("Steady"), 50))
    times = [t for event in events if event["event"] == "tokens" for t in event["t_ns"]]
    assert events[0]["event"] == "begun"
    assert ids_of(events) == list(range(50))
    assert all(a < b for a, b in pairwise([events[0]["t_ns"], *times, events[-1]["t_ns"]]))
    assert events[-1]["reason"] == "length"


def test_tokens_are_sent_in_batches_the_first_at_once(start: Start) -> None:
    batches = [len(e["ids"]) for e in generate(start("Steady"), 100) if e["event"] == "tokens"]
    assert batches[0] == 1
    assert len(batches) < 60


def test_an_exception_is_reported_in_one_sentence_and_the_worker_goes_on(start: Start) -> None:
    worker = start("RaisesMidway")
    with pytest.raises(WorkerError) as caught:
        list(generate(worker, 10))
    assert "a wheel came off" in caught.value.message
    assert "\n" not in caught.value.message
    assert str(worker.log_file) in caught.value.fix
    assert "Traceback" in worker.log_file.read_text(encoding="utf-8")
    assert len(ids_of(list(generate(worker, 10, prompt=1)))) == 10
    assert worker.starts == 1


def test_an_error_meant_for_a_person_keeps_its_words(tmp_path: Path) -> None:
    worker = Worker("tests.support.misbehaving:RaisesForAPerson", tmp_path / "log.txt")
    with contextlib.closing(worker), pytest.raises(WorkerError) as caught:
        list(worker.ask("load", **LOAD))
    assert (caught.value.message, caught.value.fix) == (
        "There is no such device.",
        "Choose another.",
    )


def test_a_missing_package_is_an_error_not_a_hang(tmp_path: Path) -> None:
    worker = Worker("tests.no_such_module:Backend", tmp_path / "log.txt")
    with contextlib.closing(worker), pytest.raises(WorkerDied) as caught:
        list(worker.ask("load", **LOAD))
    assert "ended unexpectedly" in caught.value.message
    assert "no_such_module" in worker.log_file.read_text(encoding="utf-8")


def test_a_killed_worker_is_an_error_and_comes_back_at_the_next_run(start: Start) -> None:
    worker = start("Steady")
    events = []
    with pytest.raises(WorkerDied):
        for event in generate(worker, 10_000):
            events.append(event)
            if len(ids_of(events)) > 5:
                psutil.Process(worker.pid).kill()
    assert len(ids_of(events)) > 5
    list(worker.ask("load", **LOAD))
    assert len(ids_of(list(generate(worker, 10)))) == 10
    assert worker.starts == 2


def test_a_hang_is_ended_when_it_shows_no_sign_of_life(start: Start) -> None:
    worker = start("Hangs", token_patience_s=1.0)
    began = time.monotonic()
    with pytest.raises(WorkerDied, match="no sign of life for 1 s"):
        list(generate(worker, 10))
    assert time.monotonic() - began < 5
    assert not worker.alive


def test_a_long_prefill_is_not_taken_for_a_hang(start: Start) -> None:
    worker = start("Computes", start_patience_s=1.0)
    assert len(ids_of(list(generate(worker, 5)))) == 5


def test_a_stop_ends_within_a_token_or_two_and_keeps_what_was_said(start: Start) -> None:
    worker, events, at_stop = start("Slow"), [], 0
    for event in generate(worker, 10_000):
        events.append(event)
        if not at_stop and len(ids_of(events)) >= 10:
            at_stop, stopped_ns = len(ids_of(events)), time.perf_counter_ns()
            worker.stop()
    late = [t for e in events if e["event"] == "tokens" for t in e["t_ns"] if t > stopped_ns]
    assert events[-1]["reason"] == "stopped"
    assert len(late) <= 2
    assert worker.starts == 1


def test_a_stop_that_is_not_answered_ends_the_worker_and_keeps_what_was_said(
    start: Start,
) -> None:
    worker, events = start("Hangs"), []
    for event in generate(worker, 10):
        events.append(event)
        if len(ids_of(events)) == 3:
            worker.stop()
    assert events[-1]["reason"] == "stopped"
    assert ids_of(events) == [0, 1, 2]
    assert not worker.alive


def test_a_late_stop_does_not_hit_the_next_run(start: Start) -> None:
    worker = start("Steady")
    list(generate(worker, 5))
    worker.stop()
    worker._write({"id": worker._last_id, "do": "stop"})  # one that was on its way already
    assert list(generate(worker, 30))[-1]["reason"] == "length"


def test_an_abandoned_answer_is_stopped(start: Start) -> None:
    worker = start("Steady")
    events = generate(worker, 10_000)
    next(events)
    events.close()
    assert len(ids_of(list(generate(worker, 10)))) == 10
    assert worker.starts == 1


def test_noise_on_stdout_never_reaches_the_wire(start: Start) -> None:
    worker = start("Noisy")
    events = list(generate(worker, 5))
    assert ids_of(events) == [0, 1, 2, 3, 4]
    assert events[-1]["reason"] == "length"
    log = worker.log_file.read_text(encoding="utf-8")
    for noise in ("forged by print", "native noise", "noise of the C library"):
        assert noise in log


def test_no_orphan_is_left_when_the_parent_dies_mid_generation(tmp_path: Path) -> None:
    parent = f"""
import os, sys
from pathlib import Path
from playground.workers.process import Worker
worker = Worker("tests.support.misbehaving:Steady", Path({str(tmp_path / "log.txt")!r}))
list(worker.ask("load", **{LOAD!r}))
for event in worker.ask("generate", prompt=[1], options={{"max_new_tokens": 100000}}):
    if event["event"] == "tokens":
        print(worker.pid, flush=True)
        os._exit(9) if os.name == "nt" else os.kill(os.getpid(), 9)
"""
    run = subprocess.run(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, env=environment(), timeout=60
    )
    worker = int(run.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.wait_procs([psutil.Process(worker)], timeout=5)
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie"


def wait_until_idle(process: psutil.Process) -> None:
    """Wait until it has worked, and then has used no processor time for a second."""
    busy, since = process.cpu_times().user, time.monotonic()
    while busy < 0.02 or time.monotonic() - since < 1:
        time.sleep(0.05)
        if (now := process.cpu_times().user) > busy:
            busy, since = now, time.monotonic()


def test_a_slow_reader_does_not_change_the_times(tmp_path: Path) -> None:
    """Nobody reads while 20,000 tokens are made: far more than a pipe holds."""
    requests = [
        {"id": 1, "do": "load", **LOAD},
        {"id": 2, "do": "generate", "prompt": [1], "options": {"max_new_tokens": 20_000}},
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "playground.workers.worker", "tests.support.misbehaving:Fast"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    times: list[int] = []
    with child:
        assert child.stdin and child.stdout
        child.stdin.write(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        child.stdin.flush()
        wait_until_idle(psutil.Process(child.pid))
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "tokens":
                times += event["t_ns"]
            if event.get("reason"):
                break
    assert child.returncode == 0
    assert len(times) == 20_000
    assert (times[-1] - times[0]) / 1e9 < 1.5, "stamping waited for the reader"


def test_closing_ends_the_process(start: Start) -> None:
    worker = start("Steady")
    pid = worker.pid
    worker.close()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert os.path.exists(worker.log_file)
