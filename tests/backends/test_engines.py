"""The real engines on the real default model, from prompt to record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.arena import Arena
from playground.lanes.lane import parse_all, status
from playground.models import DEFAULT_MODEL
from playground.runs.record import IN_TURN, TOGETHER
from playground.runs.request import Request

Records = dict[str, dict[str, Any]]  # by backend
QUESTION = "What is the capital of France?"
FOUR = [  # on the processor, whatever else the machine has
    "openvino-genai:CPU:int8",
    "openvino-optimum:CPU:int8",
    "onnx-genai:CPU:int4",
    "pytorch:CPU:fp32",
]
NPU = "openvino-genai:NPU-on-CPU:int4"


@pytest.fixture(scope="module")
def arena(models_home: Path, prepared: Callable[[str, str], Path]) -> Iterator[Arena]:
    for lane in parse_all(FOUR):
        prepared(lane.format, lane.precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(models_home))
        started = Arena()
        yield started
        started.close()


@pytest.fixture(scope="module")
def together(arena: Arena) -> Records:
    return ask(arena, TOGETHER)


@pytest.fixture(scope="module")
def alone(arena: Arena) -> Records:
    return ask(arena, IN_TURN)


def ask(arena: Arena, mode: str, names: list[str] = FOUR) -> Records:
    """The records of the lanes, by backend."""
    request = Request(QUESTION, tuple(parse_all(names)), mode=mode, max_new_tokens=24)
    result = list(arena.start(request).states())[-1].as_json()
    return {record["backend"]: record for record in result["lanes"]}


def test_all_four_engines_are_installed_and_their_models_made(arena: Arena) -> None:
    statuses = {lane.name: status(lane, DEFAULT_MODEL).status for lane in parse_all(FOUR)}
    assert statuses == dict.fromkeys(FOUR, "ready")


def test_all_four_say_paris(together: Records) -> None:
    assert {name: "Paris" in record["text"] for name, record in together.items()} == dict.fromkeys(
        together, True
    )
    assert all("<|im_end|>" not in record["text"] for record in together.values())


def test_all_four_get_the_same_prompt_and_tell_what_ran(
    together: Records,
) -> None:
    assert len({record["prompt_tokens"] for record in together.values()}) == 1
    for record in together.values():
        assert record["status"] == "ok"
        assert record["device_used"] == "CPU" and record["device_name"]
        assert record["library_version"] and record["warm"] is True
        assert record["weights"]["recipe"] and record["weights"]["bytes"] > 50_000_000
        assert record["load_s"] > 0
        assert record["peak_rss_mb"] > 100


def test_the_figures_of_real_engines_are_consistent(together: Records) -> None:
    for record in together.values():
        assert record["ttft_user_ms"] > record["ttft_ms"] > 1
        assert record["tpot_ms"] == pytest.approx(1000 / record["decode_tps"])
        read = record["weights"]["read_bytes"]
        assert record["bandwidth_gbs"] == pytest.approx(read * record["decode_tps"] / 1e9)


def test_together_they_overlap_and_in_turn_they_do_not(together: Records, alone: Records) -> None:
    starts = [record["started_ns"] for record in together.values()]
    assert max(starts) < min(record["ended_ns"] for record in together.values())
    spans = sorted((record["started_ns"], record["ended_ns"]) for record in alone.values())
    assert all(earlier[1] < later[0] for earlier, later in zip(spans, spans[1:], strict=False))


def test_greedy_answers_do_not_depend_on_the_mode(together: Records, alone: Records) -> None:
    assert {name: record["token_ids"] for name, record in alone.items()} == {
        name: record["token_ids"] for name, record in together.items()
    }


def test_the_npu_s_pipeline_answers_on_the_processor_and_says_what_it_is(arena: Arena) -> None:
    record = ask(arena, TOGETHER, [NPU])["openvino-genai"]
    assert (record["status"], record["finish_reason"]) == ("ok", "stop")
    assert "Paris" in record["text"]
    assert (record["device"], record["device_used"]) == ("NPU-on-CPU", "CPU")
    assert record["capacity"] == 256
    # SmolLM2's width is 576, which 128 does not divide: whole rows instead of groups
    assert record["weights"]["recipe"] == "int4 sym, per channel, embeddings int8"
