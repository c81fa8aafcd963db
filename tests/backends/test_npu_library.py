"""Intel's NPU library itself, in the real `.venv-npu`, through real workers, on a small Phi-3.

Its stand-in on the CPU computes, since an NPU is rarely at hand: see `StubNpu` for what only runs
with one.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.base import Options
from backends.npu_library import NpuLibrary
from backends.pytorch import PyTorch
from playground.errors import WorkerError
from playground.prompt import ChatTokenizer
from playground.workers import npu_environment
from playground.workers.events import LoadedEvent
from playground.workers.process import Worker
from tests.support import phi3_models, small_phi3

pytestmark = pytest.mark.engine

QUESTIONS = [*small_phi3.ANSWERS]
NINE = "Count to nine."  # 32 tokens
Answer = tuple[list[int], str]  # ids and the reason of the end


class Lane:
    """A worker of the library, one process for many loads, and what it was told to load last."""

    def __init__(self, target: str, home: Path) -> None:
        python, self.cache = str(npu_environment.python()), home / "cache"
        own = {"AIPC_CACHE": str(self.cache)}
        self.worker = Worker(target, home / "张三" / "log.txt", python=python, environment=own)

    def load(self, folder: Path, device: str, precision: str) -> LoadedEvent:
        self.tokenizer = ChatTokenizer(folder)
        asked = {"model": str(folder), "device": device, "precision": precision}
        event = [*self.worker.ask("load", **asked, capacity=256, warm_up=[5, 6, 7])][-1]
        assert event["event"] == "loaded"
        return event

    def answer(self, question: str, **options: object) -> Answer:
        return self.go_on(self.tokenizer.ids(question), **options)

    def go_on(self, prompt: list[int], **options: object) -> Answer:
        options = {"max_new_tokens": 40, "stop_ids": self.tokenizer.stop_ids, **options}
        events = [*self.worker.ask("generate", prompt=prompt, options=options)]
        end = events[-1]
        assert end["event"] == "end"
        tokens = [event["ids"] for event in events if event["event"] == "tokens"]
        return [*chain.from_iterable(tokens)], end["reason"]


@pytest.fixture(scope="module", autouse=True)
def _made() -> None:
    missing = f"{npu_environment.NAME} is missing or out of date. {npu_environment.FIX}."
    assert npu_environment.ready(), missing


@pytest.fixture(scope="module")
def phi3(models_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "模型 phi3"
    return shutil.copytree(phi3_models.source(models_home), folder)


@pytest.fixture
def copied(phi3: Path, tmp_path: Path) -> Path:
    """The same model in a folder to be spoilt."""
    return shutil.copytree(phi3, tmp_path / "copy")


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    started = Lane("backends.npu_library:NpuLibrary", tmp_path_factory.mktemp("lane"))
    yield started
    started.worker.close()


@pytest.fixture(scope="module")
def stub_npu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    started = Lane("tests.support.stub_npu:StubNpu", tmp_path_factory.mktemp("stub"))
    yield started
    started.worker.close()


@pytest.fixture
def loaded(lane: Lane, phi3: Path) -> Lane:
    """On the CPU. On a machine with an NPU the library cannot be made to compute there."""
    try:
        lane.load(phi3, "CPU", "fp16")
    except WorkerError as refused:
        if "has an NPU" not in refused.message:
            raise
        pytest.skip(refused.message)
    return lane


def pytorchs_answers(folder: Path) -> dict[str, list[int]]:
    """With the transformers of `.venv`, in 32-bit floats."""
    reference, tokenizer = PyTorch(), ChatTokenizer(folder)
    reference.load(folder, "CPU", "fp32", 256)
    options = Options(max_new_tokens=40, stop_ids=tokenizer.stop_ids)
    return {
        question: [*reference.generate(tokenizer.ids(question), options)] for question in QUESTIONS
    }


# --- what it answers -----------------------------------------------------------------------


def test_it_gives_pytorchs_tokens(loaded: Lane, phi3: Path) -> None:
    expected = pytorchs_answers(phi3)
    assert min(map(len, expected.values())) >= 8
    assert {question: loaded.answer(question)[0] for question in QUESTIONS} == expected
    assert loaded.tokenizer.decode(expected[NINE]) == small_phi3.ANSWERS[NINE]


def test_it_tells_what_really_runs(lane: Lane, loaded: Lane, phi3: Path) -> None:
    about = lane.load(phi3, "CPU", "fp16")
    assert about["device_used"] == "CPU" and about["device_name"] not in ("", "CPU")
    assert about["library_version"].startswith("1.4.0 (transformers 4.47.1, torch 2.")
    assert "No NPU was found: the library computes on the CPU instead." in about["notes"]
    assert about["weights"] and about["weights"]["recipe"] == "fp16"
    weights = (phi3 / "model.safetensors").stat().st_size  # in fp32
    assert about["weights"]["bytes"] == pytest.approx(weights / 2, rel=0.2)


def test_greedy_answers_are_repeated_whatever_came_between(loaded: Lane) -> None:
    first = loaded.answer(NINE)
    loaded.answer("Say something in Chinese.")  # a prompt of another length
    assert loaded.answer(NINE) == first


def test_stop_ids_end_the_answer_and_nothing_does_when_they_are_ignored(loaded: Lane) -> None:
    ids, reason = loaded.answer(NINE)
    assert reason == "stop" and ids[-1] in loaded.tokenizer.stop_ids
    more, reason = loaded.answer(NINE, ignore_eos=True)
    assert reason == "length" and len(more) == 40 and more[: len(ids)] == ids
    assert loaded.answer(NINE, stop_ids=(ids[3],)) == (ids[:4], "stop")
    assert loaded.answer(NINE, max_new_tokens=7) == (ids[:7], "length")


def test_a_seed_draws_the_same_answer_again(loaded: Lane) -> None:
    def drawn(seed: int) -> Answer:
        return loaded.answer(NINE, temperature=3.0, seed=seed, ignore_eos=True)

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_stopped_answer_leaves_nothing_behind(loaded: Lane) -> None:
    whole, before = loaded.answer(NINE), loaded.worker.starts
    prompt = loaded.tokenizer.ids(NINE)
    events = loaded.worker.ask("generate", prompt=prompt, options={"max_new_tokens": 4000})
    while next(events)["event"] != "tokens":
        pass
    events.close()
    assert loaded.answer(NINE) == whole
    assert loaded.worker.starts == before


def test_an_id_that_the_model_does_not_know_is_refused(loaded: Lane) -> None:
    with pytest.raises(WorkerError, match="outside this model's vocabulary"):
        loaded.go_on([small_phi3.VOCABULARY])


def test_compiled_layers_are_kept_for_one_length_of_prompt_only() -> None:
    stub = NpuLibrary()
    compiled = {f"Linear_{length}_128_x_384_128_float16": "" for length in (1, 10, 11, 12)}
    stub._library = SimpleNamespace(
        backend=SimpleNamespace(runtime=SimpleNamespace(_model_cache=compiled))
    )
    stub._forget_other_lengths(11)
    assert [name.split("_")[1] for name in compiled] == ["1", "11"]


# --- models that transformers 4.47 reads otherwise than 5 ----------------------------------


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default", "rope_theta": 50.0},
        {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [0.15] * 16,
            "long_factor": [40.0] * 16,
        },
    ],
    ids=["base", "longrope"],
)
def test_positions_are_those_that_the_folder_tells(
    loaded: Lane, models_home: Path, rope: dict[str, Any]
) -> None:
    longer = {"rope_parameters": rope, "max_position_embeddings": 8192}
    folder = phi3_models.source(models_home, **longer)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    loaded.load(folder, "CPU", "fp16")
    assert {question: loaded.answer(question)[0] for question in QUESTIONS} == pytorchs_answers(
        folder
    )
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "qwen99"}, "does not support the architecture qwen99"),
        (
            {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.75}},
            r"does not support its partial_rotary_factor of 0.75",
        ),
        ({"num_hidden_layers": 3}, "does not find all of its weights"),
    ],
)
def test_a_model_that_it_would_read_wrongly_is_refused(
    loaded: Lane, copied: Path, change: dict[str, Any], said: str
) -> None:
    path = copied / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | change), encoding="utf-8")
    with pytest.raises(WorkerError, match=f"too new for Intel's NPU library: .* {said}") as told:
        loaded.load(copied, "CPU", "fp16")
    assert "openvino-genai:NPU:int4" in told.value.fix


@pytest.mark.parametrize("trouble", ["cut short", "a pickle"])
def test_a_broken_folder_gets_a_sentence(loaded: Lane, copied: Path, trouble: str) -> None:
    weights = copied / "model.safetensors"
    if trouble == "cut short":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        weights.rename(copied / "pytorch_model.bin")
    with pytest.raises(WorkerError, match="cannot be loaded") as told:
        loaded.load(copied, "CPU", "fp16")
    assert told.value.fix.startswith("Prepare the model again")


def test_what_it_compiles_lies_in_the_programs_cache(loaded: Lane, phi3: Path) -> None:
    assert [*(loaded.cache / "npu-library" / "cache").iterdir()]
    assert not (loaded.worker.log_file.parent / "cache").exists()


# --- the device ----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int4", "int8", "fp16"])
def test_without_an_npu_its_lane_is_refused(loaded: Lane, phi3: Path, precision: str) -> None:
    with pytest.raises(WorkerError, match="finds no NPU on this machine") as told:
        loaded.load(phi3, "NPU", precision)
    site = "www.intel.com" if sys.platform == "win32" else "github.com/intel/linux-npu-driver"
    assert f"https://{site}/" in told.value.fix


def test_a_precision_that_it_has_not_is_refused(lane: Lane, phi3: Path) -> None:
    with pytest.raises(WorkerError, match="does not run on CPU at int4"):
        lane.load(phi3, "CPU", "int4")


@pytest.mark.parametrize(
    ("precision", "recipe"),
    [("int4", "int4 sym, per channel"), ("int8", "int8 sym, per channel"), ("fp16", "fp16")],
)
def test_with_a_stub_of_an_npu_each_precision_answers(
    stub_npu: Lane, phi3: Path, precision: str, recipe: str
) -> None:
    about = stub_npu.load(phi3, "NPU", precision)
    assert about["device_used"] == "NPU" and about["device_name"]
    assert about["weights"] and about["weights"]["recipe"] == recipe
    for question in ("What is the capital of France?", NINE):
        ids, reason = stub_npu.answer(question)
        assert stub_npu.tokenizer.decode(ids) == small_phi3.ANSWERS[question] and reason == "stop"


def test_with_a_stub_of_an_npu_the_cpu_lane_is_refused(stub_npu: Lane, phi3: Path) -> None:
    with pytest.raises(WorkerError, match="would use that, not the CPU"):
        stub_npu.load(phi3, "CPU", "fp16")
