"""The one interface that every inference library is adapted to.

A backend turns prompt ids into answer ids. It does not tokenise, measure, print or talk to anyone:
the worker's loop stamps each id as it appears, the same lines of code for every backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How to sample. Every backend sets every field: a model's own generation_config
    (a repetition penalty, say) must not make one lane's greedy answer differ."""

    max_new_tokens: int = 256
    temperature: float = 0.0  # 0 is greedy; then top_p, top_k and seed have no effect
    top_p: float = 1.0
    top_k: int = 0  # 0: no limit
    seed: int = 0
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False  # go on past stop ids until max_new_tokens


@dataclass(frozen=True)
class Loaded:
    """What really runs, told by the engine itself after loading."""

    device_used: str  # "CPU", "GPU.0", "NPU": the one that computes
    device_name: str  # its full name, "Intel(R) Core(TM) Ultra 7 165H"
    library_version: str
    threads: int | None = None  # None where the engine does not tell
    notes: tuple[str, ...] = field(default=())  # anything a person should know
    capacity: int | None = None  # tokens of prompt + answer there is room for; None: no fixed room
    longest_prompt: int | None = None  # of those, None likewise
    weights: dict[str, str | int | None] | None = None  # recipe, bytes, read_bytes as in metrics,
    # where the engine makes them while loading; None: they are as they lie in the folder


class Backend(ABC):
    """Adapter of one inference library. One worker process holds one of them."""

    @abstractmethod
    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        """Import the SDK, load the folder `model` on `device`, make room for `capacity` tokens.

        capacity: tokens of prompt + answer; only engines with static shapes need it.
        Raises BackendError for anything a person can act on.
        """

    @abstractmethod
    def generate(self, prompt: Sequence[int], options: Options) -> Iterator[int]:
        """Yield one token id per decoding step.

        Ends after a stop id (yielded too, unless `ignore_eos`), after `max_new_tokens`, when
        the room for tokens is used up, or at close(). Frees what it holds in `finally`, so that
        the next call can start at once. Any exception reaches the caller.
        """


class BackendError(Exception):
    """A failure with a sentence for a person (`str(e)`) and one on what to do (`fix`)."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
