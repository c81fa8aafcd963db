"""Backends that show what a benchmark asks of them, and one that does not live to its end."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from backends.base import Backend, Loaded, Options


class Echo(Backend):
    """Answers with the prompt's first id and its length, over and over. Tells the room it got."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        return Loaded(device, "a test", "0", capacity=capacity, max_prompt=capacity)

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        for n in range(options.max_new_tokens):
            yield [prompt[0], len(prompt)][n % 2]


class Narrow(Echo):
    """Has room for 40 tokens, whatever was asked for."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        return replace(super().load(model, device, precision, capacity), capacity=40)


class DiesInItsFifthRun(Echo):
    """The first of them is the worker's own warm-up."""

    runs = 0

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        self.runs += 1
        for n, token in enumerate(super().generate(prompt, options)):
            if (self.runs, n) == (5, 3):
                os._exit(3)
            yield token
