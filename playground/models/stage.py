"""The progress of a preparation, and its cancellation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from playground.errors import PreparationError


@dataclass(frozen=True)
class Stage:
    """What a preparation is doing now, for a progress bar and the line below it."""

    name: str  # wait (for another preparation) | fetch | convert
    fraction: float | None  # 0 to 1; None: unknown
    detail: str  # for the user: "SmolLM2-135M-Instruct, 41 of 93 MB"


Report = Callable[[Stage], None]


class Cancelled(PreparationError):
    """A preparation was cancelled; no incomplete files are left."""

    def __init__(self) -> None:
        super().__init__(
            "The preparation was cancelled; no incomplete files are left.",
            "Start it again to continue with what is missing.",
        )


def raise_if_set(cancel: threading.Event | None) -> None:
    """Raise Cancelled if the event is set; for points at which no child is running."""
    if cancel is not None and cancel.is_set():
        raise Cancelled
