"""`python -m benchmarks [--pairs N]`: ratios within one run, since machines are noisy."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks import gauges, overhead, startup, watched
from benchmarks.pairs import Row
from playground.arena import Arena
from playground.cli.command import use_utf8

LANES = ("openvino-genai:CPU:int8", "onnx-genai:CPU:int4")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="alternating pairs a ratio; 7")
    pairs = max(5, parser.parse_args().pairs)
    use_utf8()
    console = Console(width=150)
    rows: list[Row] = []
    with contextlib.closing(Arena()) as arena:
        parts: list[Callable[[], list[Row]]] = [
            *(lambda name=name: overhead.decode(arena, name, pairs) for name in LANES),
            lambda: overhead.ttft(arena),
            lambda: [overhead.parent_cpu(arena)],
            lambda: [gauges.sampler(arena)],
        ]
        for part in parts:
            rows += shown(console, part())
    rows += shown(console, watched.decode(LANES[0], pairs))
    rows += shown(console, [startup.start(pairs)])
    table = Table(title="What the playground costs")
    for heading in ("what", "median", "target", "note"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.what, row.value, row.target, row.note)
    console.print(table)


def shown(console: Console, rows: list[Row]) -> list[Row]:
    """Each part as it is ready: the whole takes some minutes."""
    for row in rows:
        console.print(f"{row.what}: {row.value}  ({row.note})", style="dim")
    return rows


if __name__ == "__main__":
    main()
