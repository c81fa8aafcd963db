"""`python -m benchmarks.memory [--model M] [--lanes A,B]`: what `playground.lanes.memory` estimates
and what a worker then has. Its figures for a new version of an engine are found with this, on
models of several sizes: the larger ones tell the share of the weights, the smallest the rest."""

from __future__ import annotations

import argparse
import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from backends.base import Options
from playground import models
from playground.cli.command import use_utf8
from playground.lanes import lane as lanes
from playground.lanes import memory
from playground.lanes.host import Host, Hosts
from playground.lanes.lane import Lane
from playground.lanes.tokenizers import tokenizer_of
from playground.workers.process import Worker

LOOK_S = 0.02
TEXT = "The brown fox asked the grey heron what the river had told it about the rain. "


@dataclass(frozen=True)
class Measured:
    """MB of resident memory of one lane's worker."""

    estimate: memory.Estimate
    loading: float  # the most while loading
    answering: float  # the most while reading a prompt and answering: what is estimated

    @property
    def ratio(self) -> float:
        return self.estimate.resident_mb / self.answering


class Peak(contextlib.AbstractContextManager["Peak"]):
    """The most resident memory of a worker within the block, as seen every 20 ms."""

    def __init__(self, worker: Worker) -> None:
        self.mb = 0.0
        self._worker = worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.mb = max(self.mb, self._worker.rss_mb() or 0.0)

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.mb = max(self.mb, self._worker.rss_mb() or 0.0)


def measure(host: Host, model: str, prompt: int, answer: int) -> Measured:
    """Load the lane, let it read a prompt of so many tokens and make so many; it stays loaded."""
    lane = host.lane
    with Peak(host.worker) as loading:
        host.make_ready(model, lambda tokenizer: prompt + answer)
    ids = tokenizer_of(lane, model).ids(TEXT * prompt)[:prompt]
    options = vars(Options(max_new_tokens=answer, ignore_eos=True))
    with Peak(host.worker) as answering:
        for _ in host.worker.ask("generate", prompt=ids, options=options):
            pass
    what = (model, lane.format, lane.precision)
    tokens = host.loaded.get("capacity") or prompt + answer
    estimate = memory.estimate(
        lane,
        models.weights(*what) or {},
        memory.shape_of(Path(models.lane_folder(*what))),
        tokens,
        prompt=memory.CHUNK if lane.support.fixed_capacity else prompt,
    )
    assert estimate is not None
    return Measured(estimate, loading.mb, answering.mb)


def cpu_lanes() -> list[Lane]:
    """Every lane that needs no device but the CPU."""
    names = [lane for lane in lanes.every_lane() if lane.kind in ("CPU", "NPU-on-CPU")]
    return [lane for lane in names if lane.needs_model and lanes.installed(lane.engine)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--model", default=models.DEFAULT_MODEL, help="as the playground's --model")
    parser.add_argument("--lanes", default="", help="all on this CPU unless told")
    parser.add_argument("--prompt", type=int, default=500, help="tokens of the prompt; 500")
    parser.add_argument("--answer", type=int, default=32, help="tokens of the answer; 32")
    options = parser.parse_args()
    use_utf8()
    console = Console(width=120)
    chosen = [each for each in options.lanes.split(",") if each]
    table = Table(title=f"MB of {models.title(options.model)}, {options.prompt} tokens of prompt")
    for heading in ("lane", "estimate", "measured", "ratio", "while loading", "needed to load"):
        table.add_column(heading, justify="left" if heading == "lane" else "right")
    for lane in lanes.parse_all(chosen) if chosen else cpu_lanes():
        hosts = Hosts()
        hosts.force = True
        with contextlib.closing(hosts):
            found = measure(hosts[lane], options.model, options.prompt, options.answer)
        told = found.estimate
        figures = (told.resident_mb, found.answering, found.loading, told.needed_mb)
        estimate, answering, loading, needed = (f"{each:.0f}" for each in figures)
        console.print(f"{lane.name}: {estimate}, measured {answering}", style="dim")
        table.add_row(lane.name, estimate, answering, f"{found.ratio:.2f}", loading, needed)
    console.print(table)


if __name__ == "__main__":
    main()
