"""`python -m benchmarks.memory [--model M] [--lanes A,B]`: the memory that each lane needs as
`playground.lanes.memory` estimates it, and what its worker really uses.

Run it for a new version of an engine, on models of several sizes, to find the figures of its
`MemoryModel`: large models show the factor of the weights, small ones the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from backends.base import Options
from playground import models
from playground.cli.command import use_utf8
from playground.lanes import memory
from playground.lanes.host import Host, Hosts
from playground.lanes.lane import Lane, every_lane, installed, parse_all
from playground.lanes.tokenizers import tokenizer_of
from playground.workers.process import Worker

POLL_S = 0.02
TEXT = "The brown fox asked the grey heron what the river had told it about the rain. "


@dataclass(frozen=True)
class Measurement:
    """The peaks of one worker's own memory in MB, without the pages of files."""

    estimate: memory.Estimate
    loading: float
    answering: float  # while it reads a prompt and answers: what is estimated

    @property
    def ratio(self) -> float:
        return self.estimate.private_mb / self.answering


class Peak(contextlib.AbstractContextManager["Peak"]):
    """The most memory of its own that a worker uses within the block, looked at every 20 ms."""

    def __init__(self, worker: Worker) -> None:
        self.mb = 0.0
        self._worker = worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.mb = max(self.mb, private_mb(self._worker))

    def _watch(self) -> None:
        while not self._ended.wait(POLL_S):
            self.mb = max(self.mb, private_mb(self._worker))


def private_mb(worker: Worker) -> float:
    """The worker's own memory; 0 where it does not run.

    Resident memory is no measure for an estimate: how many pages of libraries and weights count
    in it depends on what else the machine does.
    """
    if not worker.alive or worker.pid is None:
        return 0.0
    try:
        info = psutil.Process(worker.pid).memory_info()
    except psutil.Error:
        return 0.0
    private = getattr(info, "private", None)  # Windows
    return float(private if private is not None else info.rss - getattr(info, "shared", 0)) / 1e6


def measure(host: Host, model: str, prompt: int, answer: int) -> Measurement:
    """Load the lane and let it read and generate so many tokens; it stays loaded."""
    lane = host.lane
    with Peak(host.worker) as loading:
        host.make_ready(model, lambda tokenizer: prompt + answer)
    ids = tokenizer_of(lane, model).ids(TEXT * prompt)[:prompt]
    options = vars(Options(max_new_tokens=answer, ignore_eos=True))
    with Peak(host.worker) as answering:
        for _ in host.worker.ask("generate", prompt=ids, options=options):
            pass
    folder = Path(models.lane_folder(model, lane.format, lane.precision))
    tokens = host.loaded.get("capacity") or prompt + answer
    weights = models.weights(model, lane.format, lane.precision)
    assert weights is not None
    estimate = memory.estimate(lane, weights, memory.shape_of(folder), tokens, prompt)
    assert estimate is not None
    return Measurement(estimate, loading.mb, answering.mb)


def cpu_lanes() -> list[Lane]:
    """Every lane that needs no device but the CPU."""
    lanes = [lane for lane in every_lane() if lane.kind in ("CPU", "NPU-on-CPU")]
    return [lane for lane in lanes if lane.needs_model and installed(lane.engine)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--model", default=models.DEFAULT_MODEL, help="as the playground's --model")
    parser.add_argument("--lanes", default="", help="default: all on this CPU")
    parser.add_argument("--prompt", type=int, default=500, help="tokens of the prompt, default 500")
    parser.add_argument("--answer", type=int, default=32, help="tokens of the answer, default 32")
    options = parser.parse_args()
    use_utf8()
    console = Console(width=120)
    names = [name for name in options.lanes.split(",") if name]
    table = Table(title=f"MB of {models.title(options.model)}, {options.prompt} tokens of prompt")
    for heading in ("lane", "estimate", "measured", "ratio", "while loading", "mapped weights"):
        table.add_column(heading, justify="left" if heading == "lane" else "right")
    for lane in parse_all(names) if names else cpu_lanes():
        hosts = Hosts()
        hosts.force = True
        with contextlib.closing(hosts):
            measured = measure(hosts[lane], options.model, options.prompt, options.answer)
        expected = measured.estimate
        figures = [expected.private_mb, measured.answering, measured.loading, expected.mapped_mb]
        estimate, answering, loading, mapped = (f"{figure:.0f}" for figure in figures)
        console.print(f"{lane.name}: {estimate}, measured {answering}", style="dim")
        table.add_row(lane.name, estimate, answering, f"{measured.ratio:.2f}", loading, mapped)
    console.print(table)


if __name__ == "__main__":
    main()
