"""What a preparation tells the one who asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from playground.errors import PreparationError


@dataclass(frozen=True)
class Stage:
    """What preparation is doing now, for a progress bar and the line below it."""

    name: str  # wait (another preparation is at it) | fetch | convert
    fraction: float | None  # 0..1, None where nobody can know
    detail: str  # for a person: "SmolLM2-135M-Instruct, 41 of 93 MB"


Report = Callable[[Stage], None]


class Cancelled(PreparationError):
    """A preparation that was called off; nothing half-made is left."""

    def __init__(self) -> None:
        super().__init__(
            "The preparation was cancelled; nothing half-made is left.",
            "Ask again, and it goes on with what is missing.",
        )


def raise_if_set(cancel: threading.Event | None) -> None:
    """Ends a preparation at a point where nothing is running."""
    if cancel is not None and cancel.is_set():
        raise Cancelled
