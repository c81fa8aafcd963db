"""A note: the line below a button that says what came of pressing it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

from playground.errors import PlaygroundError
from playground.page.components import Json, Updates

P = ParamSpec("P")
Handler = Callable[Concatenate[Any, P], Updates]


def note(message: str | Exception, items: Sequence[str] = ()) -> Json:
    """A sentence and a list below it; an error with its fix, in the colour of errors."""
    return {"text": str(message), "items": list(items), "error": isinstance(message, Exception)}


NO_NOTE = note("")


def notes_errors(handler: Handler[P]) -> Handler[P]:
    """A PlaygroundError of the handler leaves all as it was and shows in the tab's `status`."""

    @functools.wraps(handler)
    def noting(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Updates:
        try:
            return handler(self, *args, **kwargs)
        except PlaygroundError as error:
            return {self.tab.status: note(error)}

    return noting
