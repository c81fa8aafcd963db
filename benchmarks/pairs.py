"""A bare engine as a child, and ratios of figures taken alternately within one run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType

from playground.paths import ROOT
from playground.runs.metrics import decode_tps
from playground.workers.subprocesses import environment


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    value: str
    target: str
    note: str


class Bare:
    """The engine of `benchmarks.bare`, kept loaded and warm."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "benchmarks.bare", engine, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=environment(),
            cwd=ROOT,
        )
        self._answer()

    def tps(self, prompt: list[int], n: int) -> float:
        """Decode tokens/s of one run of n tokens."""
        assert self._child.stdin
        self._child.stdin.write(json.dumps({"prompt": prompt, "n": n}) + "\n")
        self._child.stdin.flush()
        rate = decode_tps(self._answer()["times"])
        assert rate is not None
        return rate

    def __enter__(self) -> Bare:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child.stdin
        self._child.stdin.close()
        self._child.wait()

    def _answer(self) -> dict[str, list[int]]:
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("The bare engine ended; run benchmarks.bare by hand to see why.")
        rate: dict[str, list[int]] = json.loads(line)
        return rate


def ratio(pairs: list[tuple[float, float]]) -> tuple[float, str]:
    """The median of a/b over alternating pairs, and its range as a note."""
    ratios = sorted(a / b for a, b in pairs)
    return median(ratios), f"{len(ratios)} pairs, {ratios[0]:.3f} to {ratios[-1]:.3f}"
