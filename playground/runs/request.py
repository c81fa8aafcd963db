"""A request: one prompt for some lanes, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from playground import models
from playground.errors import BadInput
from playground.lanes.lane import Lane
from playground.runs.record import IN_TURN, TOGETHER, RunSettings

MAX_NEW_TOKENS = 32_768
MAX_CHARACTERS = 1_000_000  # of prompt and system prompt


@dataclass(frozen=True)
class Request:
    """One prompt for some lanes. Raises BadInput when it cannot be run as it is."""

    prompt: str
    lanes: tuple[Lane, ...]
    mode: str = TOGETHER
    max_new_tokens: int = 256
    temperature: float = 0.0
    system: str = ""
    model: str = models.DEFAULT_MODEL
    ignore_eos: bool = False  # go on until max_new_tokens, for equally long answers on all lanes

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str) or not isinstance(self.system, str):
            raise BadInput("The prompt is not text.", "Send text.")
        if not self.prompt.strip():
            raise BadInput("The prompt is empty.", "Write a question or a task.")
        if len(self.prompt) + len(self.system) > MAX_CHARACTERS:
            raise BadInput(
                f"The prompt has more than {MAX_CHARACTERS:,} characters.", "Shorten it."
            )
        if self.mode not in (TOGETHER, IN_TURN):
            raise BadInput(f"There is no mode “{self.mode}”.", f"Choose {TOGETHER} or {IN_TURN}.")
        check_whole("max_new_tokens", self.max_new_tokens, 1, MAX_NEW_TOKENS)
        if type(self.temperature) not in (int, float) or not 0 <= self.temperature <= 2:
            raise BadInput(
                f"The temperature cannot be {self.temperature}.",
                "Give a number from 0 (greedy) to 2.",
            )

    def settings(self) -> RunSettings:
        return RunSettings(**{**vars(self), "lanes": [lane.name for lane in self.lanes]})


def check_whole(what: str, value: int, low: int, high: int) -> None:
    """Raises BadInput for anything but a whole number in the range."""
    if type(value) is not int or not low <= value <= high:
        raise BadInput(f"{what} cannot be {value}.", f"Give a whole number from {low} to {high:,}.")
