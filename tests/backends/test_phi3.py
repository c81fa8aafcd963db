"""A small Phi-3 through every export and engine: the seed's model, but for its weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from backends.base import Options
from backends.onnx_genai import OnnxGenAI
from backends.openvino_optimum import OpenVinoOptimum
from backends.pytorch import PyTorch
from playground import models
from playground.arena import Arena
from playground.errors import PreparationError
from playground.lanes import lane as lanes
from playground.lanes.host import NO_TEMPLATE
from playground.runs.lane_run import LaneRun
from playground.runs.request import Request
from tests.support import phi3_models, small_phi3
from tests.support.parrot import parrot
from tests.support.small_phi3 import ANSWERS, STOPS

ANSWER = ANSWERS[phi3_models.QUESTION]
PYTORCH = "pytorch:CPU:fp32"
EXACT = [  # so precise that the first tokens are PyTorch's
    "openvino-genai:CPU:fp16",
    "openvino-genai:CPU:int8",
    "openvino-optimum:CPU:fp16",
    "onnx-genai:CPU:int8",
]
COARSE = [
    "openvino-genai:CPU:int4",
    "openvino-genai:NPU-on-CPU:int4",
    "openvino-optimum:CPU:int4",
    "onnx-genai:CPU:int4",
]
# As they are made, not as they were asked for; int4's share is what of so small a model it is.
RECIPES = {
    ("openvino", "int8"): "int8 asym, per channel",
    ("openvino", "int4"): "int8 asym, per channel, 40 % int4 sym, group 128",
    ("openvino", "fp16"): "fp16",
    ("openvino-npu", "int4"): "int4 sym, group 128, embeddings int8",
    ("onnx", "int4"): "int4 sym, group 32, embeddings fp32",
    ("onnx", "int8"): "int8 asym, group 32, embeddings fp32",
    ("onnx-dml", "int4"): "int4 sym, group 32, embeddings fp16",
}


@pytest.fixture(scope="module")
def phi3(models_home: Path) -> Path:
    return phi3_models.source(models_home)


@pytest.fixture(scope="module")
def arena(models_home: Path) -> Iterator[Arena]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(models_home))
        started = Arena()
        yield started
        started.close()


def ask(arena: Arena, model: Path, names: list[str], tokens: int = 1024) -> dict[str, LaneRun]:
    """Each lane's part in a run of the question."""
    columns = tuple(lanes.parse(name) for name in names)
    request = Request(phi3_models.QUESTION, columns, model=str(model), max_new_tokens=tokens)
    run = arena.start(request)
    list(run.states())
    return {lane.name: answer for lane, answer in run.lanes.items()}


@pytest.fixture(scope="module")
def answers(arena: Arena, phi3: Path) -> dict[str, LaneRun]:
    return ask(arena, phi3, [PYTORCH, *EXACT, *COARSE])


@pytest.mark.parametrize("made", RECIPES, ids=":".join)
def test_every_export_is_made_and_says_what_its_weights_are(
    models_home: Path, made: tuple[str, str], monkeypatch: pytest.MonkeyPatch, phi3: Path
) -> None:
    phi3_models.prepared(models_home, *made)
    monkeypatch.setenv("AIPC_HOME", str(models_home))
    weights = models.weights(str(phi3), *made)
    assert weights and weights["recipe"] == RECIPES[made]
    read, size = weights["read_bytes"], weights["bytes"]
    assert read and size and 0 < read < size  # the embeddings are only looked up


@pytest.mark.engine
def test_a_width_that_no_usual_group_divides_gets_the_one_that_does(
    tmp_path: Path, empty_home: Path
) -> None:
    narrow = str(parrot(tmp_path / "narrow", ["Hello"], width=480))
    models.prepare(narrow, "openvino", "int4")
    weights = models.weights(narrow, "openvino", "int4")
    assert weights and "int4 sym, group 32" in str(weights["recipe"])


def test_every_lane_gets_the_prompt_as_phi3_s_template_says(
    answers: dict[str, LaneRun], phi3: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(phi3 / "tokenizer.json"))
    expected = tokenizer.encode(phi3_models.PROMPT).ids
    assert [tokenizer.id_to_token(expected[at]) for at in (0, -2, -1)] == [
        "<|user|>",
        "<|end|>",
        "<|assistant|>",
    ]
    assert all(answer.prompt == expected for answer in answers.values())


@pytest.mark.parametrize("name", [PYTORCH, *EXACT, *COARSE])
def test_every_lane_answers_and_ends_where_phi3_does(
    answers: dict[str, LaneRun], name: str, phi3: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(phi3 / "tokenizer.json"))
    record = answers[name].record().as_json()
    assert record["error"] is None
    assert (record["status"], record["finish_reason"]) == ("ok", "stop")
    assert tokenizer.id_to_token(record["token_ids"][-1]) == "<|end|>"
    assert record["text"].strip() == ANSWER
    assert record["device_used"] == "CPU" and record["warm"]
    assert record["weights"]["recipe"]


@pytest.mark.parametrize("name", EXACT)
def test_the_first_tokens_of_a_precise_lane_are_pytorch_s(
    answers: dict[str, LaneRun], name: str
) -> None:
    assert (
        answers[name].record().as_json()["token_ids"]
        == answers[PYTORCH].record().as_json()["token_ids"]
    )


@pytest.mark.parametrize(
    "layers", [{}, {"layer_types": ["sliding_attention"] * 2}], ids=["Phi-3's", "marked"]
)
def test_onnx_answers_prompts_shorter_and_longer_than_the_model_s_window(
    models_home: Path, phi3: Path, tmp_path: Path, layers: dict[str, object]
) -> None:
    """Of 2,047 tokens; the builder makes another cache where a config marks the layers."""
    folder = phi3
    if layers:
        folder = shutil.copytree(phi3, tmp_path / "marked")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        small_phi3.write(folder / "config.json", config | layers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(models_home))
        onnx = models.prepare(str(folder), "onnx", "int8")
    backend = OnnxGenAI()
    backend.load(onnx, "CPU", "int8", 4096)
    reference = PyTorch()
    reference.load(phi3, "CPU", "fp32", 4096)
    options = Options(max_new_tokens=4, ignore_eos=True)
    for prompt in ([30 + n * 7 % 200 for n in range(length)] for length in (100, 2100, 4000)):
        answer = list(backend.generate(prompt, options))
        assert answer == list(reference.generate(prompt, options))


def test_optimum_runs_with_the_seed_s_settings(models_home: Path) -> None:
    backend = OpenVinoOptimum()
    backend.load(phi3_models.prepared(models_home, "openvino", "int4"), "CPU", "int4", 4096)
    compiled = backend._model.request.get_compiled_model()
    properties = {
        name: str(compiled.get_property(name)) for name in ("PERFORMANCE_HINT", "NUM_STREAMS")
    }
    assert properties == {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}


@pytest.mark.parametrize("stop", STOPS)
def test_each_of_phi3_s_three_ends_ends_an_answer(
    arena: Arena, phi3: Path, tmp_path: Path, stop: str
) -> None:
    """A copy that says another end where the model has learnt `<|end|>`, and does not list it."""
    folder = shutil.copytree(phi3, tmp_path / "phi3")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end, other = tokenizer.token_to_id("<|end|>"), tokenizer.token_to_id(stop)
    weights = load_file(folder / "model.safetensors")
    head = weights["lm_head.weight"]
    head[[end, other]] = head[[other, end]]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "generation_config.json").unlink()
    record = ask(arena, folder, [PYTORCH])[PYTORCH].record().as_json()
    assert record["finish_reason"] == "stop"
    assert record["token_ids"][-1] == other
    assert record["text"].strip() == ANSWER


def test_a_base_model_goes_on_with_the_plain_prompt_and_its_column_says_so(
    arena: Arena, phi3: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(phi3, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    run = ask(arena, folder, [PYTORCH], tokens=8)[PYTORCH]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert run.prompt == tokenizer.encode(phi3_models.QUESTION).ids
    assert NO_TEMPLATE in run.host.loaded["notes"]
    assert run.status == "ok"


def test_a_folder_in_openvino_s_format_serves_the_lanes_that_read_it(
    models_home: Path, empty_home: Path
) -> None:
    folder = str(phi3_models.prepared(models_home, "openvino", "int8"))
    other = lanes.status(lanes.parse("onnx-genai:CPU:int8"), folder)
    assert (other.status, "OpenVINO" in other.reason) == ("unavailable", True)
    with pytest.raises(PreparationError, match="int8 asym, per channel, not int4") as caught:
        models.prepare(folder, "openvino", "int4")
    assert "int8" in caught.value.fix
    assert models.prepare(folder, "openvino", "int8") == Path(folder)
    arena = Arena()
    try:
        names = ["openvino-genai:CPU:int8", "openvino-genai:CPU:int4"]
        runs = ask(arena, Path(folder), names)
    finally:
        arena.close()
    assert [runs[name].status for name in names] == ["ok", "unavailable"]
    assert runs[names[0]].record().as_json()["text"].strip() == ANSWER


def test_a_folder_in_onnx_s_format_serves_the_lanes_that_read_it(
    models_home: Path, empty_home: Path
) -> None:
    folder = phi3_models.prepared(models_home, "onnx", "int4")
    assert json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
    for name in ("openvino-genai:CPU:int4", PYTORCH):
        assert lanes.status(lanes.parse(name), str(folder)).status == "unavailable"
    with pytest.raises(PreparationError, match="not int8"):
        models.prepare(str(folder), "onnx", "int8")
    assert models.prepare(str(folder), "onnx", "int4") == folder
