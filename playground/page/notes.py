"""A note: the line below a button that says what came of pressing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class NoteValue(TypedDict):
    """What note.js shows: a sentence, and a list below it."""

    text: str
    items: list[str]
    error: bool


def note(message: str | Exception, items: Sequence[str] = ()) -> NoteValue:
    """An error is shown with its fix, in the colour of errors."""
    return {"text": str(message), "items": list(items), "error": isinstance(message, Exception)}


NO_NOTE = note("")
