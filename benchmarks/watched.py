"""A real lane on one thread while a browser watches it among three replayed ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from urllib.request import urlopen

import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.overhead import PROMPT, TOKENS
from benchmarks.pairs import Bare, Row, ratio
from playground.lanes.lane import parse
from playground.lanes.tokenizers import tokenizer_of
from playground.models import DEFAULT_MODEL, lane_folder
from playground.paths import ROOT
from playground.workers.subprocesses import environment

REPLAYED = ["fake:CPU:30tps", "fake:CPU:030tps", "fake:CPU:0030tps"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


def decode(name: str, pairs: int) -> list[Row]:
    """Watched lane over bare engine, both on one thread; and the parent's CPU time.

    Every two pairs have fresh processes, as in `overhead.decode`.
    """
    rates: list[tuple[float, float]] = []
    spent: list[float] = []
    while len(rates) < pairs:
        with contextlib.ExitStack() as stack:
            measure(name, stack, rates, spent)
    middle, note = ratio(rates)
    return [
        Row(
            f"{name}, one thread, watched / bare engine",
            f"{middle:.3f}",
            "≥ 0.90",
            f"{note}, lane {median(tps for tps, _ in rates):.0f} tok/s",
        ),
        Row(
            "parent CPU per 1,000 tokens, one page watching",
            f"{median(spent):.0f} ms",
            "",
            "4 columns, whole process",
        ),
    ]


def measure(
    name: str,
    stack: contextlib.ExitStack,
    rates: list[tuple[float, float]],
    spent: list[float],
) -> None:
    """Two pairs with one set of processes, which end with the stack."""
    lane = parse(name)
    prompt = tokenizer_of(lane, DEFAULT_MODEL).ids(PROMPT)
    folder = lane_folder(DEFAULT_MODEL, lane.format, lane.precision)
    with one_core():  # OpenVINO takes as many threads as it sees cores while loading
        bare = stack.enter_context(Bare(lane.backend, folder))
        address, process = stack.enter_context(server([name, *REPLAYED]))
        page = stack.enter_context(browser(address))
    free_all_cores()
    bare.tps(prompt, TOKENS)
    for _ in range(2):
        before = bare.tps(prompt, TOKENS)
        used, tokens, tps = watch(page, process)
        after = bare.tps(prompt, TOKENS)
        rates.append((tps, (before + after) / 2))
        spent.append(1e6 * used / tokens)


def watch(page: Page, process: psutil.Process) -> tuple[float, int, float]:
    """One run from the page: CPU seconds of the parent, tokens of all columns, the lane's rate."""
    before = process.cpu_times()
    page.locator("#run").click()
    page.wait_for_selector(".lane-0 .card[data-state=running]", timeout=60_000)
    for column in range(4):
        page.wait_for_selector(f".lane-{column} .card[data-state=ok]", timeout=120_000)
    after = process.cpu_times()
    counts = [int(count) for count in page.locator("[data-text=tokens]:visible").all_inner_texts()]
    if counts[0] < 200:
        raise SystemExit(f"The answer has only {counts[0]} tokens: too few to measure.")
    tps = float(page.locator(".lane-0 [data-text=tps]").inner_text())
    return after.user + after.system - before.user - before.system, sum(counts), tps


@contextlib.contextmanager
def server(lanes: list[str]) -> Iterator[tuple[str, psutil.Process]]:
    """The real program, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    child = subprocess.Popen(
        [sys.executable, "app.py", "--no-browser", f"--port={port}", f"--lanes={','.join(lanes)}"],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(address)
        yield address, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def wait_for(address: str, seconds: float = 120) -> None:
    """Return as soon as the address answers."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), urlopen(address) as answer:
            answer.read()
            return
        if time.monotonic() > end:
            raise SystemExit(f"{address} does not answer.")
        time.sleep(0.01)


@contextlib.contextmanager
def browser(address: str) -> Iterator[Page]:
    """A page with the prompt filled in and all lanes ready."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit("No browser is installed: python run.py test installs one.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(address)
        for column in range(4):
            ready = f".lane-{column} .card[data-state=ready]"
            page.wait_for_selector(ready, timeout=300_000)
        page.locator("#prompt textarea").fill(PROMPT)
        yield page
        started.close()


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """What is started inside sees one core."""
    process = psutil.Process()
    before = process.cpu_affinity()
    process.cpu_affinity(before[:1])
    try:
        yield
    finally:
        process.cpu_affinity(before)


def free_all_cores() -> None:
    """Every thread of every child may use all cores again; engines keep their one thread."""
    cores = psutil.Process().cpu_affinity()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            child.cpu_affinity(cores)
            if hasattr(os, "sched_setaffinity"):  # on Linux that was the main thread only
                for thread in child.threads():
                    os.sched_setaffinity(thread.id, cores)
