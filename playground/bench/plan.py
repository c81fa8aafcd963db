"""The settings of a benchmark, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from playground import models
from playground.arena import MIN_ANSWER_TOKENS
from playground.errors import BadInput
from playground.lanes.lane import Lane
from playground.lanes.tokenizers import tokenizer_of
from playground.prompt import Tokenizer
from playground.runs.benchmark_record import BenchmarkSettings
from playground.runs.record import IN_TURN, TOGETHER
from playground.runs.request import MAX_NEW_TOKENS, check_whole

PROMPT_TOKENS = (32, 256, 512, 1024)
NEW_TOKENS, RUNS, WARMUP = 128, 3, 1
MAX_RUNS = 1_000
MAX_PROMPT_TOKENS = 1_000_000  # no model here has such a context


@dataclass(frozen=True)
class Plan:
    """The settings of a benchmark. Raises BadInput where they are wrong.

    prompt_tokens: the exact prompt lengths; runs: how many are measured for each lane and length;
    warmup: how many precede them and do not count.
    """

    lanes: tuple[Lane, ...]
    model: str = models.DEFAULT_MODEL
    prompt_tokens: tuple[int, ...] = PROMPT_TOKENS
    new_tokens: int = NEW_TOKENS
    runs: int = RUNS
    warmup: int = WARMUP
    mode: str = IN_TURN

    def __post_init__(self) -> None:
        if not self.lanes:
            raise BadInput("No lane is chosen.", "Choose at least one lane.")
        if self.mode not in (TOGETHER, IN_TURN):
            raise BadInput(f"There is no mode “{self.mode}”.", f"Choose {IN_TURN} or {TOGETHER}.")
        if not self.prompt_tokens:
            raise BadInput("No prompt length is chosen.", "Give at least one, such as 256.")
        for length in self.prompt_tokens:
            check_whole("A prompt of this many tokens", length, 1, MAX_PROMPT_TOKENS)
        if len(set(self.prompt_tokens)) < len(self.prompt_tokens):
            raise BadInput("A prompt length is given twice.", "Give each length once.")
        check_whole("The number of new tokens", self.new_tokens, 1, MAX_NEW_TOKENS)
        check_whole("The number of runs", self.runs, 1, MAX_RUNS)
        check_whole("The number of warm-up runs", self.warmup, 0, MAX_RUNS)
        if len({lane.needs_model for lane in self.lanes}) > 1:
            raise BadInput(
                "The fake lane reads bytes and the others a model's tokens: their prompts would "
                "differ.",
                "Measure the fake lane alone, or leave it out.",
            )
        if not self.lanes[0].needs_model or models.tokenizer_folder(self.model):
            self.check(tokenizer_of(self.lanes[0], self.model))

    @property
    def total(self) -> int:
        """Runs of all lanes, warm-up included."""
        return len(self.lanes) * len(self.prompt_tokens) * (self.warmup + self.runs)

    def check(self, tokenizer: Tokenizer) -> None:
        """Raises BadInput for a length that, with the answer, exceeds the model's context."""
        needed = max(self.prompt_tokens) + self.new_tokens
        if needed > tokenizer.context:
            raise BadInput(
                f"{max(self.prompt_tokens):,} prompt tokens and {self.new_tokens:,} new ones are "
                f"{needed:,}; the model's context is {tokenizer.context:,}.",
                "Choose shorter prompts or fewer new tokens.",
            )

    def capacity(self, tokenizer: Tokenizer) -> int:
        """Tokens of prompt and answer, at all lengths, that an engine with static shapes must hold.
        Raises BadInput."""
        self.check(tokenizer)
        return max(self.prompt_tokens) + max(self.new_tokens, MIN_ANSWER_TOKENS)

    def settings(self) -> BenchmarkSettings:
        changed = {
            "lanes": [lane.name for lane in self.lanes],
            "model": self.model if self.lanes[0].needs_model else "none",
            "prompt_tokens": list(self.prompt_tokens),
        }
        return BenchmarkSettings(**{**vars(self), **changed}, temperature=0.0, ignore_eos=True)
