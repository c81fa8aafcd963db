"""The events that a worker sends to its parent, one JSON object a line. Standard library only.

`id` is that of the request; 0 stands for none.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from backends.base import LoadedWeights

FinishReason = Literal["stop", "length", "context", "stopped"]
ErrorCode = Literal[
    "backend",  # the backend wrote the message and the fix for the user
    "exception",  # any other exception, whose text is the message
]


class HelloEvent(TypedDict):
    """The worker has started. Its own process id: on Windows the launcher has another."""

    id: int
    event: Literal["hello"]
    pid: int


class LoadedLane(TypedDict, total=False):
    """The fields of `backends.base.Loaded`, and the time it took; empty while nothing is loaded."""

    load_s: float
    warm: bool
    device_used: str
    device_name: str
    library_version: str
    threads: int | None
    notes: list[str]
    capacity: int | None
    max_prompt: int | None
    weights: LoadedWeights | None


class LoadedEvent(LoadedLane):
    """A model is loaded and warm."""

    id: int
    event: Literal["loaded"]


class BegunEvent(TypedDict):
    """The backend has been given the prompt. Times are of `time.perf_counter_ns`."""

    id: int
    event: Literal["begun"]
    t_ns: int


class TokensEvent(TypedDict):
    """Tokens of the answer, and when each of them appeared."""

    id: int
    event: Literal["tokens"]
    ids: list[int]
    t_ns: list[int]


class EndEvent(TypedDict):
    """The answer is complete, or was stopped; without a time if that ended the process."""

    id: int
    event: Literal["end"]
    reason: FinishReason
    t_ns: NotRequired[int]


class ErrorEvent(TypedDict):
    """A request failed; the worker goes on."""

    id: int
    event: Literal["error"]
    error: ErrorCode
    message: str
    fix: str


class GoneEvent(TypedDict):
    """The process has ended; the parent's own event."""

    id: int
    event: Literal["gone"]


Event = HelloEvent | LoadedEvent | BegunEvent | TokensEvent | EndEvent | ErrorEvent | GoneEvent
