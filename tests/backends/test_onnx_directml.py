"""ONNX Runtime GenAI on DirectML, on a stub of it and a recorded Windows laptop: which adapter is
asked for and what is refused. What is no stub here is the folder made for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends import ENGINES
from backends.base import Adapter, BackendError, Loaded, Options
from backends.onnx_genai import OnnxGenAI
from playground import devices, models
from playground.arena import Arena
from playground.devices import Discovery
from playground.lanes import lane as lanes
from playground.models.catalogue import is_for_directml
from playground.runs.request import Request
from tests.support import phi3_models
from tests.support.stub_directml import StubDirectML, recorded_adapters

PROMPT, END = [5, 6, 7], 320
GREEDY = Options(max_new_tokens=8, stop_ids=(END,))
Load = Callable[..., tuple[OnnxGenAI, Loaded, StubDirectML]]


@pytest.fixture(scope="module")
def folder(models_home: Path) -> Path:
    return phi3_models.prepared(models_home, "onnx-dml", "int4")


@pytest.fixture
def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """`load("DML.1")` is a backend, what it told and the stub that it asked."""

    def on(device: str, **stub: Any) -> tuple[OnnxGenAI, Loaded, StubDirectML]:
        module = StubDirectML(**stub)
        monkeypatch.setitem(sys.modules, "onnxruntime_genai", module)
        backend = OnnxGenAI()
        backend.adapters = [Adapter(gpu.full_name, gpu.luid) for gpu in recorded_adapters()]
        return backend, backend.load(folder, device, "int4", 1024), module

    return on


def test_a_folder_for_directml_is_built_on_any_system_and_tells(
    folder: Path, models_home: Path
) -> None:
    assert is_for_directml(folder)
    assert not is_for_directml(phi3_models.prepared(models_home, "onnx", "int4"))
    assert models.obstacle(str(folder), "onnx-dml") is None
    obstacle = models.obstacle(str(folder), "onnx")
    assert obstacle and "onnx-genai:DML" in obstacle[1]


@pytest.mark.parametrize(
    ("device", "name", "luid"),
    [
        ("DML", "NVIDIA GeForce RTX 4060 Laptop GPU", "1:62369"),
        ("DML.1", "Intel(R) Arc(TM) Graphics", "0:58058"),
    ],
)
def test_the_adapter_is_asked_for_by_its_identity_and_named_in_full(
    load: Load, device: str, name: str, luid: str
) -> None:
    _, loaded, stub = load(device)
    assert (loaded.device_used, loaded.device_name) == (device, name)
    assert stub.providers == {"dml": {"enable_graph_capture": "1", "luid": luid}}
    assert loaded.threads is None
    assert loaded.library_version.startswith("0.13.1")


def test_a_silent_fallback_to_the_cpu_is_refused(load: Load) -> None:
    with pytest.raises(BackendError, match="fell back from DML to the CPU") as caught:
        load("DML", runs_on="CPU")
    assert "DirectML" in caught.value.fix


def test_an_adapter_that_is_not_there_is_refused(load: Load) -> None:
    with pytest.raises(BackendError, match=r"no adapter DML\.2") as caught:
        load("DML.2")
    assert "DML" in caught.value.fix


def test_a_package_without_directml_does_not_pretend_to_have_a_gpu(load: Load) -> None:
    with pytest.raises(BackendError, match="without DirectML") as caught:
        load("DML", built=False)
    assert "onnxruntime-genai-directml" in caught.value.fix


def test_the_cpu_lane_of_the_same_package_asks_for_no_adapter(load: Load) -> None:
    _, loaded, stub = load("CPU")
    assert (loaded.device_used, stub.providers) == ("CPU", {})


def test_an_end_ends_it_and_ignore_eos_goes_on_without_continuing_after_one(load: Load) -> None:
    backend, _, stub = load("DML")
    assert list(backend.generate(PROMPT, GREEDY)) == [*PROMPT, END]
    assert stub.search["min_length"] == 0
    longer = list(backend.generate(PROMPT, replace(GREEDY, ignore_eos=True)))
    assert longer == [5, 6, 7, 5, 6, 7, 5, 6]  # 8 of them, no end among them
    assert stub.search["min_length"] == stub.search["max_length"] == len(PROMPT) + 8
    assert stub.open == 0


def test_the_lane_goes_from_model_to_answer_on_the_adapter_that_was_chosen(
    models_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIPC_HOME", str(models_home))
    discovery = Discovery(dml=recorded_adapters(), dml_package=True)
    monkeypatch.setattr(devices, "discover", lambda: discovery)
    stubbed = replace(ENGINES["onnx-genai"], target="tests.support.stub_directml:StubbedOnnxGenAI")
    monkeypatch.setitem(ENGINES, "onnx-genai", stubbed)
    lane = lanes.parse("onnx-genai:DML.1:int4")
    source = str(phi3_models.source(models_home))
    arena = Arena()
    try:
        request = Request(phi3_models.QUESTION, (lane,), model=source)
        record = list(arena.start(request).states())[-1].as_json()["lanes"][0]
    finally:
        arena.close()
    assert (record["status"], record["finish_reason"]) == ("ok", "stop")
    assert record["device_used"] == "DML.1"
    assert record["device_name"] == "Intel(R) Arc(TM) Graphics"
    assert record["text"].strip() == phi3_models.QUESTION  # the stub says the prompt again
    assert record["weights"]["recipe"] == "int4 sym, group 32, embeddings fp16"
