"""The interface that every inference library is adapted to.

A backend turns the prompt's token ids into the answer's. It neither tokenises nor measures nor
prints: the worker takes the time of each id, with the same lines of code for every backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


@dataclass(frozen=True)
class Options:
    """How to sample. Every backend applies every field: a model's own generation_config must not
    change one lane's greedy answer, for example by a repetition penalty."""

    max_new_tokens: int = 256
    temperature: float = 0.0  # 0: greedy, without any effect of top_p, top_k and seed
    top_p: float = 1.0
    top_k: int = 0  # 0: no limit
    seed: int = 0
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False  # continue past stop ids until max_new_tokens


@dataclass(frozen=True)
class Adapter:
    """A GPU that DirectML can use. luid: "0:58062", both halves in decimal, if Windows has one."""

    name: str
    luid: str | None


class LoadedWeights(TypedDict):
    """Weights in memory: what they consist of, their bytes, and the bytes read for each token."""

    recipe: str
    bytes: int
    read_bytes: int


@dataclass(frozen=True)
class Loaded:
    """What was really loaded, as the engine itself reports it."""

    device_used: str  # the device that computes: "CPU", "GPU.0", "NPU"
    device_name: str  # its full name, "Intel(R) Core(TM) Ultra 7 165H"
    library_version: str
    threads: int | None = None  # None: the engine does not report them
    notes: tuple[str, ...] = ()  # anything the user should know
    capacity: int | None = None  # tokens of prompt and answer together; None: the model's limit
    max_prompt: int | None = None  # tokens of the prompt; None likewise
    weights: LoadedWeights | None = None  # if the engine converts them while loading


class Backend(ABC):
    """Adapts one inference library. A worker process holds one backend."""

    adapters: Sequence[Adapter] = ()  # the GPUs for DirectML, set before load

    @abstractmethod
    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        """Import the SDK and load the folder `model` on `device`.

        capacity: tokens of prompt and answer together; only engines with static shapes use it.
        Raises BackendError for anything that the user can act on.
        """

    @abstractmethod
    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        """Yield one token id per decoding step.

        Ends after a stop id (which is yielded too), after `max_new_tokens`, when the capacity is
        used up, or at close(). With `ignore_eos`, stop ids do not end it. Releases its resources
        in `finally`: the next call can start at once. Any exception reaches the caller.
        """


class BackendError(Exception):
    """A failure, explained to the user: what is wrong (`str(error)`) and what to do (`fix`)."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
