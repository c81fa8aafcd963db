"""Backends as they are, with a second clock on the same answers, which is not ours: what it says is
written to the file that TWO_CLOCKS names, one JSON line an answer."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from backends.base import Loaded
from backends.onnx_genai import OnnxGenAI
from backends.openvino_genai import OpenVinoGenAI


def tell(**figures: float) -> None:
    with Path(os.environ["TWO_CLOCKS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


class WatchedOpenVino(OpenVinoGenAI):
    """OpenVINO GenAI's own PerfMetrics."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        loaded = super().load(model, device, precision, capacity)
        pipeline = self._pipeline

        class Watched:
            def generate(self, *arguments: Any) -> None:
                told = pipeline.generate(*arguments).perf_metrics
                tell(
                    tokens=told.get_num_generated_tokens(),
                    ttft_ms=told.get_ttft().mean,
                    decode_tps=told.get_throughput().mean,
                )

        self._pipeline = Watched()
        return loaded


class WatchedOnnx(OnnxGenAI):
    """A bare loop's clock, as benchmark_e2e.py of onnxruntime-genai has it: time to first token is
    prefill and the first step; each further step is timed apart, and the rate is 1 / their mean."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        loaded = super().load(model, device, precision, capacity)
        library = self._genai

        class Generator:
            def __init__(self, *arguments: Any) -> None:
                self._generator = library.Generator(*arguments)
                self._prefill, self._steps = 0.0, list[float]()

            def append_tokens(self, ids: list[int]) -> None:
                spent = seconds(lambda: self._generator.append_tokens(ids))
                if self._steps:  # after an end of text, which the answer goes past
                    self._steps[-1] += spent
                else:
                    self._prefill = spent

            def generate_next_token(self) -> None:
                self._steps.append(seconds(self._generator.generate_next_token))

            def __getattr__(self, name: str) -> Any:
                return getattr(self._generator, name)

            def __del__(self) -> None:
                if len(self._steps) > 1:
                    rest = self._steps[1:]
                    tell(
                        tokens=len(self._steps),
                        ttft_ms=1000 * (self._prefill + self._steps[0]),
                        decode_tps=len(rest) / sum(rest),
                    )

        class Library:
            def __getattr__(self, name: str) -> Any:
                return Generator if name == "Generator" else getattr(library, name)

        self._genai = Library()
        return loaded


def seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
