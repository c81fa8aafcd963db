"""The fake engine: no model, but the same token ids each time, at a given rate.

The page, the tests and the overhead benchmarks run on it; its answer says what it is.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path

from backends.base import Backend, BackendError, Loaded, Options

STOP_ID = 256  # ids 0..255 are bytes of UTF-8
TEXT = (
    "This answer is **replayed**: the *fake* lane runs no model at all. It says the same bytes "
    "every time, at a pace that you choose (`fake:CPU:60tps`), so that everything behind an "
    "engine can be tried without one: the pipe, the arena, this page.\n\n"
    "- every byte is one token\n- its figures are real times of a made-up answer\n"
    "- 你好, naïve café, 🚀: no character is torn\n"
)


class Fake(Backend):
    """Yields the bytes of `TEXT`; its precision is its rate, "30tps"."""

    _tokens_per_second = 30.0

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        rate = precision.removesuffix("tps")
        if device != "CPU" or not rate.isdigit() or int(rate) < 1:
            raise BackendError(
                f"The fake lane cannot run on {device} at {precision}.",
                "Use fake:CPU:30tps for 30 tokens per second, or another number.",
            )
        self._tokens_per_second = float(rate)
        return Loaded(
            device_used="CPU",
            device_name="no device: replayed bytes",
            library_version="fake",
            threads=1,
            notes=("Replayed, not computed: no model runs here.",),
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        if not prompt:
            raise BackendError("The prompt has no tokens.", "Enter a prompt.")
        ids = [*TEXT.encode(), STOP_ID]
        start = time.perf_counter()
        for n in range(options.max_new_tokens):
            # An absolute schedule keeps the mean rate exact, however long a single sleep takes.
            time.sleep(max(0.0, start + (n + 1) / self._tokens_per_second - time.perf_counter()))
            token = ids[n % (len(ids) - 1)] if options.ignore_eos else ids[n]
            yield token
            if token in options.stop_ids and not options.ignore_eos:
                return
