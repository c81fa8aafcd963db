"""The errors that the user reads: one sentence on what is wrong, and one on what to do.

PlaygroundError
├── BadInput        the call itself is wrong: empty prompt, unknown lane, a limit out of range
├── Unavailable     a lane cannot run on this machine: missing device or missing package
├── PreparationError  a model could not be fetched, converted or read
└── WorkerError     a worker failed while loading or generating
    └── WorkerDied  its process ended, or gave no sign of life and was killed

Exceptions of other libraries are translated where they arise; their text goes to the log.
"""

from __future__ import annotations


class PlaygroundError(Exception):
    """What is wrong (`message`) and what to do about it (`fix`), one sentence each."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        """As JSON: the `error` of a lane's record."""
        return {"message": self.message, "fix": self.fix}


class BadInput(PlaygroundError):
    """The request is invalid."""


class Unavailable(PlaygroundError):
    """The lane cannot run on this machine."""


class PreparationError(PlaygroundError):
    """A model could not be fetched, converted or read."""


class WorkerError(PlaygroundError):
    """A worker failed; the other lanes go on."""


class WorkerDied(WorkerError):
    """A worker's process has ended; the next run restarts it."""
