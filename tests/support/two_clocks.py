"""The real backends, timed a second time by clocks that are not ours: each answer's figures go to
the file that TWO_CLOCKS names, as one JSON line."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.base import Loaded
from backends.onnx_genai import OnnxGenAI
from backends.openvino_genai import OpenVinoGenAI


def write_figures(**figures: float) -> None:
    with Path(os.environ["TWO_CLOCKS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


class WatchedOpenVino(OpenVinoGenAI):
    """Timed by OpenVINO GenAI's own PerfMetrics."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        loaded = super().load(model, device, precision, capacity)
        pipeline = self._pipeline

        class Watched:
            def generate(self, *arguments: Any) -> None:
                metrics = pipeline.generate(*arguments).perf_metrics
                write_figures(
                    tokens=metrics.get_num_generated_tokens(),
                    ttft_ms=metrics.get_ttft().mean,
                    decode_tps=metrics.get_throughput().mean,
                )

        self._pipeline = Watched()
        return loaded


class WatchedOnnx(OnnxGenAI):
    """Timed around a bare loop, as in benchmark_e2e.py of onnxruntime-genai: time to first token is
    prefill plus the first step; each further step is timed by itself, and the rate is 1 / their
    mean."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        loaded = super().load(model, device, precision, capacity)
        library = self._genai

        class Generator:
            def __init__(self, *arguments: Any) -> None:
                self._generator = library.Generator(*arguments)
                self._prefill, self._steps = 0.0, list[float]()

            def append_tokens(self, ids: list[int]) -> None:
                elapsed = seconds(lambda: self._generator.append_tokens(ids))
                if self._steps:  # after an end-of-text token that the answer ignores
                    self._steps[-1] += elapsed
                else:
                    self._prefill = elapsed

            def generate_next_token(self) -> None:
                self._steps.append(seconds(self._generator.generate_next_token))

            def __getattr__(self, name: str) -> Any:
                return getattr(self._generator, name)

            def __del__(self) -> None:
                if len(self._steps) > 1:
                    later = self._steps[1:]
                    write_figures(
                        tokens=len(self._steps),
                        ttft_ms=1000 * (self._prefill + self._steps[0]),
                        decode_tps=len(later) / sum(later),
                    )

        class Library:
            def __getattr__(self, name: str) -> Any:
                return Generator if name == "Generator" else getattr(library, name)

        self._genai = Library()
        return loaded


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
