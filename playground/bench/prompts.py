"""Prompts of an exact length: the ids of a fixed text, without the model's template."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

import tokenizers

from playground import models
from playground.errors import PreparationError
from playground.lanes.lane import Lane
from playground.prompt import Tokenizer

# Prose, which a model continues with prose; it is repeated for longer prompts.
TEXT = (
    "The lighthouse stood at the end of a long spit of sand, and for most of the year nobody came "
    "there but the keeper and the gulls. He had kept a diary since the first winter. In it he "
    "wrote down the wind, the height of the water, the ships that passed, and what he had eaten. "
    "On the ninth of March a crate drifted ashore. It was bound with wire and smelled of tar, and "
    "under the lid, wrapped in oilcloth, lay a map of a coast that he had never seen. Someone had "
    "marked a bay with red ink and written three numbers beside it. He turned the sheet over and "
    "found a date, forty years old, and the name of a ship that had never come home. That evening "
    "he lit the lamp early, put the kettle on, and began to compare the map with every chart on "
    "his shelf. The coastline fitted none of them. By midnight the storm had reached the spit, the "
    "windows rattled, and he understood that he had been holding the paper upside down.\n\n"
)

Prompts = Callable[[int, int], list[int]]


def prompts_of(lane: Lane, model: str, tokenizer: Tokenizer) -> Prompts:
    """`prompts(tokens, run)`: a list of that many ids.

    The first word differs in each run, which keeps an engine from reusing what it computed before.
    A beginning-of-text token precedes it where both the tokenizer and the template of the model
    write one. Raises PreparationError where the tokenizer cannot be read.
    """
    begin, text = _encoded(model, tokenizer) if lane.needs_model else ([], [*TEXT.encode()])
    words = list(dict.fromkeys(text))

    def prompts(tokens: int, run: int) -> list[int]:
        ids = [*begin, words[run % len(words)], *islice(cycle(text), 1, max(tokens, 1))]
        return ids[:tokens]

    return prompts


def _encoded(model: str, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The beginning-of-text token, if the model has one, and the ids of the text without it."""
    folder = models.tokenizer_folder(model)
    assert folder is not None  # its lanes are loaded
    try:
        encoder = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        encoder.no_truncation()
        encoder.no_padding()
        text = encoder.encode(TEXT, add_special_tokens=False).ids
        with_special = encoder.encode(TEXT, add_special_tokens=True).ids
    except Exception as error:  # tokenizers raises bare Exception
        message = f"The tokenizer in {folder} is missing or broken."
        raise PreparationError(message, "Prepare or download the model again.") from error
    added = with_special[: len(with_special) - len(text)]
    return [token for token in added[:1] if token == tokenizer.ids("x")[0]], text
