"""A stub of onnxruntime_genai with DirectML, for machines without Windows and without a GPU.

It records its calls and follows the source of 0.13.1 (config.cpp, search.cpp, generators.cpp); it
has not been compared with real hardware.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

from backends import onnx_genai
from playground.devices import Device, windows
from tests.support.machines import laptop

SEARCH = {"min_length", "max_length", "batch_size", "num_beams", "num_return_sequences", "top_k"}
SEARCH |= {"top_p", "temperature", "repetition_penalty", "length_penalty", "no_repeat_ngram_size"}
SEARCH |= {"diversity_penalty", "random_seed", "chunk_size", "do_sample"}
SEARCH |= {"past_present_share_buffer", "early_stopping"}


def recorded_adapters() -> tuple[Device, ...]:
    """Of a laptop with an Intel and an NVIDIA GPU."""
    return windows.adapters(laptop())


class StubDirectML(ModuleType):
    """The module, and in `providers` and `search` what the last model and answer were asked with.

    built: with DirectML. runs_on: what the model says that it runs on.
    """

    __version__ = "0.13.1"

    def __init__(self, *, built: bool = True, runs_on: str = "DirectML") -> None:
        super().__init__("onnxruntime_genai")
        self.built, self.runs_on = built, runs_on
        self.providers: dict[str, dict[str, str]] = {}
        self.search: dict[str, float] = {}
        self.open = 0  # generators not yet given up
        self.Config = partial(StubConfig, self)
        self.Model = partial(StubModel, self)
        self.GeneratorParams = partial(StubParams, self)
        self.Generator = partial(StubGenerator, self)

    def is_dml_available(self) -> bool:
        return self.built


class StubConfig:
    """Begins with the folder's own providers, as the real one does."""

    def __init__(self, stub: StubDirectML, folder: str) -> None:
        about = json.loads((Path(folder) / "genai_config.json").read_text(encoding="utf-8"))
        self.model = about["model"]
        self.providers: dict[str, dict[str, str]] = {}
        for provider in self.model["decoder"]["session_options"].get("provider_options", []):
            self.providers |= provider

    def clear_providers(self) -> None:
        self.providers = {}

    def append_provider(self, name: str) -> None:
        self.providers.setdefault(name, {})

    def set_provider_option(self, name: str, option: str, value: str) -> None:
        self.providers.setdefault(name, {})[option] = value


class StubModel:
    def __init__(self, stub: StubDirectML, config: StubConfig) -> None:
        if "dml" in config.providers and not stub.built:
            raise RuntimeError("DML provider requested, but … has not been built with DML support")
        stub.providers = config.providers
        self.about = config.model
        self.device_type = stub.runs_on if "dml" in config.providers else "CPU"


class StubParams:
    def __init__(self, stub: StubDirectML, model: StubModel) -> None:
        self.options: dict[str, float] = {}

    def set_search_options(self, **options: float) -> None:
        assert options.keys() <= SEARCH, "0.13.1 does not know it"
        self.options |= options


class StubGenerator:
    """Says the prompt again and then an end, and so on: no logits are computed."""

    def __init__(self, stub: StubDirectML, model: StubModel, params: StubParams) -> None:
        stub.search = params.options
        self._stub, self._on, self._search = stub, model.device_type, params.options
        self._ends: list[int] = model.about["eos_token_id"]
        self._sequence: list[int] = []
        self._script: list[int] = []
        self._said = 0
        self._done = False
        stub.open += 1

    def __del__(self) -> None:
        self._stub.open -= 1

    def append_tokens(self, ids: list[int]) -> None:
        if self._sequence and self._on == "DirectML":
            raise RuntimeError("Continuous decoding is not supported on the selected device type")
        assert len(self._sequence) + len(ids) <= self._search["max_length"]
        self._sequence += ids
        self._script = self._script or [*ids, self._ends[0]]

    def generate_next_token(self) -> None:
        assert not self._done and self._sequence
        token = self._next()
        while token in self._ends and len(self._sequence) < self._search["min_length"]:
            token = self._next()  # the ends are banned until then
        self._sequence.append(token)
        self._done = token in self._ends or len(self._sequence) == self._search["max_length"]

    def _next(self) -> int:
        self._said += 1
        return self._script[(self._said - 1) % len(self._script)]

    def get_next_tokens(self) -> list[int]:
        return self._sequence[-1:]

    def is_done(self) -> bool:
        return self._done


class StubbedOnnxGenAI(onnx_genai.OnnxGenAI):
    """The backend in a worker on that stub."""

    def __init__(self) -> None:
        sys.modules["onnxruntime_genai"] = StubDirectML()
