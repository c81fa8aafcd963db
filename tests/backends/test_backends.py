"""One contract for every backend, on the real libraries: the same assertions for each."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from backends.base import Backend, BackendError, Loaded, Options
from playground.lanes import lane as lanes
from playground.models import convert
from tests.support import phi3_models
from tests.support.backend_parts import CAPACITY, copy, engine_threads, new, rewrite

Prepared = Callable[[str, str], Path]
PARIS = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
    "<|im_start|>assistant\n"
)
# The NPU library runs in a Python of its own only: tests/test_npu_library.py. DirectML needs
# Windows and a GPU: tests/test_onnx_directml.py.
LARGE = [  # on SmolLM2, so large that speed can be seen
    "openvino-genai:CPU:int8",
    "openvino-optimum:CPU:int8",
    "onnx-genai:CPU:int4",
    "pytorch:CPU:fp32",
]
SMALL = [  # on the small Phi-3, which knows the capital of France, too
    *LARGE,
    "openvino-genai:CPU:int4",
    "openvino-genai:NPU-on-CPU:int4",
    "openvino-optimum:CPU:int4",
    "openvino-optimum:CPU:fp16",
    "onnx-genai:CPU:int8",
]
FAKE, ON_SMOLLM2 = "fake:CPU:2000tps", [f"{name} on SmolLM2" for name in LARGE]


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lane", names, indirect=True, scope="module")


real, every = on(*SMALL), on(FAKE, *SMALL)
large, both = on(*ON_SMOLLM2), on(FAKE, *SMALL, *ON_SMOLLM2)
WEIGHTS = {"openvino": "openvino_model.bin", "onnx": "model.onnx.data", "hf": "model.safetensors"}


@dataclass
class Lane:
    """A loaded backend, a prompt it understands and what it answers to that."""

    column: lanes.Lane
    backend: Backend
    loaded: Loaded
    folder: Path
    prompt: list[int]
    options: Options  # greedy, with the model's own stop id
    large: bool

    @property
    def family(self) -> str:
        return convert.family(self.column.format)

    def answer(self, **changes: Any) -> list[int]:
        return list(self.backend.generate(self.prompt, replace(self.options, **changes)))

    def load(self, folder: Path) -> Lane:
        """The same lane with a fresh backend on another folder."""
        backend = new(self.column.backend)
        loaded = backend.load(folder, self.column.device, self.column.precision, CAPACITY)
        return replace(self, backend=backend, loaded=loaded, folder=folder)


@pytest.fixture(scope="module")
def lane(request: pytest.FixtureRequest, prepared: Prepared, models_home: Path) -> Iterator[Lane]:
    name, _, model = request.param.partition(" on ")
    column = lanes.parse(name)
    folder, prompt, stops = Path(), [1, 2, 3], (256,)
    if column.needs_model:
        small = not model
        make = partial(phi3_models.prepared, models_home) if small else prepared
        folder = make(column.format, column.precision)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        prompt = tokenizer.encode(phi3_models.PROMPT if small else PARIS).ids
        stops = (tokenizer.token_to_id("<|end|>" if small else "<|im_end|>"),)
    backend = new(column.backend)
    loaded = backend.load(folder, column.device, column.precision, CAPACITY)
    options = Options(max_new_tokens=16, stop_ids=stops)
    yield Lane(column, backend, loaded, folder, prompt, options, bool(model))
    del backend
    gc.collect()


@both
def test_it_tells_what_really_runs(lane: Lane) -> None:
    assert lane.loaded.device_used == "CPU"
    assert lane.loaded.device_name not in ("", "CPU", "x86_64", "AMD64")
    assert lane.loaded.library_version
    assert lane.loaded.threads is None or lane.loaded.threads > 0


@on(*SMALL, *ON_SMOLLM2)
def test_it_knows_the_capital_of_france(lane: Lane) -> None:
    tokenizer = Tokenizer.from_file(str(lane.folder / "tokenizer.json"))
    assert "Paris" in tokenizer.decode(lane.answer())


@every
def test_greedy_is_repeatable_whatever_the_seed(lane: Lane) -> None:
    assert lane.answer(seed=1) == lane.answer(seed=2)


@both
def test_ids_come_one_by_one_while_the_engine_works(lane: Lane) -> None:
    enough = 16 if lane.large else 600  # to outlast a busy machine's scheduler
    options = replace(lane.options, max_new_tokens=enough, ignore_eos=True)
    start = time.perf_counter()
    times = [time.perf_counter() for _ in lane.backend.generate(lane.prompt, options)]
    assert times[-1] - times[0] > (times[-1] - start) / 4


@every
def test_it_never_yields_more_than_asked_for(lane: Lane) -> None:
    whole = lane.answer()
    assert [lane.answer(max_new_tokens=n) for n in (1, 3)] == [whole[:1], whole[:3]]


@every
def test_a_stop_id_is_yielded_and_ends_it(lane: Lane) -> None:
    whole = lane.answer()
    word = whole[3]  # nothing special to the model
    until = whole.index(word) + 1
    assert lane.answer(stop_ids=(word,)) == whole[:until]
    assert lane.answer(stop_ids=(7, word)) == whole[:until]


@every
def test_without_stop_ids_the_models_own_do_not_end_it(lane: Lane) -> None:
    assert len(lane.answer(max_new_tokens=24, stop_ids=())) == 24


@every
def test_ignore_eos_goes_on_past_stop_ids(lane: Lane) -> None:
    whole = lane.answer()
    longer = lane.answer(max_new_tokens=24, ignore_eos=True, stop_ids=(*lane.options.stop_ids, 7))
    assert len(longer) == 24
    assert longer[: len(whole)] == whole


@every
def test_a_seed_repeats_its_sample(lane: Lane) -> None:
    sample = {"temperature": 1.5, "ignore_eos": True, "seed": 1}
    assert lane.answer(**sample) == lane.answer(**sample)


@real
def test_another_seed_gives_another_sample(lane: Lane) -> None:
    samples = [lane.answer(temperature=1.5, ignore_eos=True, seed=seed) for seed in (1, 2, 3)]
    assert len({tuple(sample) for sample in samples}) == 3


@real
@pytest.mark.parametrize(
    "narrow", [{"top_k": 1}, {"top_p": 1e-3}, {"temperature": 1e-3}], ids=lambda n: next(iter(n))
)
def test_sampling_in_the_narrowest_range_is_greedy(lane: Lane, narrow: dict[str, float]) -> None:
    assert lane.answer(**{"temperature": 1.5, "seed": 5, **narrow}) == lane.answer()


@both
def test_close_ends_it_in_time_and_the_next_can_start_at_once(lane: Lane) -> None:
    whole = lane.answer()
    ids = lane.backend.generate(
        lane.prompt, replace(lane.options, max_new_tokens=2400, ignore_eos=True)
    )
    assert [next(ids) for _ in range(3)] == whole[:3]
    start = time.perf_counter()
    ids.close()
    assert time.perf_counter() - start < 5  # all of them would take longer, but for the small ones
    assert engine_threads() == []
    assert lane.answer() == whole


@every
def test_an_empty_prompt_is_refused_and_the_next_is_answered(lane: Lane) -> None:
    with pytest.raises(BackendError) as caught:
        list(lane.backend.generate([], lane.options))
    assert caught.value.fix
    assert lane.answer(max_new_tokens=2)


@real
@pytest.mark.parametrize("wrong", [10**6, "first beyond", -1])
def test_an_id_outside_the_vocabulary_is_refused(lane: Lane, wrong: int | str) -> None:
    if wrong == "first beyond":
        file = "genai_config.json" if lane.family == "onnx" else "config.json"
        config = json.loads((lane.folder / file).read_text(encoding="utf-8"))
        wrong = int(config.get("model", config)["vocab_size"])
    with pytest.raises(BackendError) as caught:
        list(lane.backend.generate([*lane.prompt, int(wrong)], lane.options))
    assert caught.value.fix


@real
def test_what_the_engine_itself_throws_reaches_the_caller(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for module in ("openvino_genai", "onnx_genai", "pytorch"):
            patch.setattr(f"backends.{module}.check_prompt", lambda *_: None)
        with pytest.raises(Exception) as caught:
            list(lane.backend.generate([], lane.options))
    assert not isinstance(caught.value, BackendError)
    assert engine_threads() == []
    assert lane.answer(max_new_tokens=2)


@large
def test_a_repeated_prompt_is_prefilled_each_time(lane: Lane) -> None:
    def ttft(prompt: list[int]) -> float:
        start = time.perf_counter()
        list(lane.backend.generate(prompt, replace(lane.options, max_new_tokens=1)))
        return time.perf_counter() - start

    long = (lane.prompt * 30)[:500]
    ttft(long[::-1])  # the first prompt of this length pays for memory, too
    first, *again = (ttft(long) for _ in range(3))
    assert max(again) / first > 0.5


@real
def test_the_models_own_settings_change_nothing_nor_does_a_path_in_chinese(
    lane: Lane, tmp_path: Path
) -> None:
    whole = lane.answer()
    folder = copy(lane.folder, tmp_path / "张三 Li" / "a model")
    own: dict[str, Any] = {
        "do_sample": True,
        "temperature": 2.0,
        "top_k": 3,
        "top_p": 0.3,
        "repetition_penalty": 1.5,
        "no_repeat_ngram_size": 2,
    }
    if lane.family == "onnx":
        config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
        config["model"]["eos_token_id"] = whole[:2]
        config["search"] |= own | {"min_length": 100, "random_seed": 3}
        rewrite(folder / "genai_config.json", json.dumps(config))
    else:
        own |= {"eos_token_id": whole[:2], "min_new_tokens": 30}
        rewrite(folder / "generation_config.json", json.dumps(own))
    theirs = lane.load(folder)
    assert theirs.answer() == whole
    for changes in ({"ignore_eos": True}, {"temperature": 1.2, "seed": 4}, {"stop_ids": ()}):
        assert theirs.answer(**changes) == lane.answer(**changes)


@real
def test_it_needs_no_tokenizer_files(lane: Lane, tmp_path: Path) -> None:
    folder = copy(lane.folder, tmp_path / "ids only")
    for path in folder.iterdir():
        if "token" in path.name or "template" in path.name:
            path.unlink()
    assert lane.load(folder).answer() == lane.answer()


@real
@pytest.mark.parametrize("damage", ["missing", "empty", "torn"])
def test_a_missing_or_damaged_folder_is_explained(lane: Lane, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    if damage == "empty":
        folder.mkdir()
    if damage == "torn":
        copy(lane.folder, folder)
        rewrite(folder / WEIGHTS[lane.family], "torn off")
    with pytest.raises(BackendError) as caught:
        lane.load(folder)
    assert str(folder) in str(caught.value)
    assert caught.value.fix
