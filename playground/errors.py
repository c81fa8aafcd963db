"""The exceptions a person gets to read: one sentence on what is wrong, one on what to do.

PlaygroundError
├── BadInput        the call itself is wrong: empty prompt, unknown lane, a limit out of range
├── Unavailable     a lane cannot run on this machine: missing device or missing package
├── PreparationError  a model could not be fetched, converted or read
└── WorkerError     a worker failed while loading or generating
    └── WorkerDied  its process ended, or showed no sign of life and was ended

Foreign exceptions are translated at the border where they arise; their text goes to the log.
"""

from __future__ import annotations


class PlaygroundError(Exception):
    """What is wrong (`message`) and what to do about it (`fix`), each one plain sentence."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        """The `error` of a lane's record."""
        return {"message": self.message, "fix": self.fix}


class BadInput(PlaygroundError):
    """The request cannot be run as it is."""


class Unavailable(PlaygroundError):
    """A lane that this machine cannot run."""


class PreparationError(PlaygroundError):
    """A model that could not be fetched, converted or read."""


class WorkerError(PlaygroundError):
    """A worker that failed; its column says so and the others go on."""


class WorkerDied(WorkerError):
    """A worker whose process is gone; the next run starts it again."""
