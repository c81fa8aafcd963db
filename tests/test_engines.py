"""The four real engines on the real default model, from prompt to record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.arena import Arena
from playground.lanes import default_lanes, status
from playground.models import DEFAULT_MODEL
from playground.record import IN_TURN, TOGETHER, Request

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def arena(default_models: Path) -> Iterator[Arena]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(default_models))
        found = Arena()
        yield found
        found.close()


@pytest.fixture(scope="module")
def together(arena: Arena) -> dict[str, dict[str, Any]]:
    return ask(arena, TOGETHER)


def ask(arena: Arena, mode: str) -> dict[str, dict[str, Any]]:
    """The records of all four lanes, by backend."""
    request = Request(QUESTION, tuple(default_lanes()), mode=mode, max_new_tokens=24)
    result = list(arena.start(request).states())[-1]
    return {record["backend"]: record for record in result["lanes"]}


def test_all_four_engines_are_installed_and_their_models_made(arena: Arena) -> None:
    found = {lane.backend: status(lane, DEFAULT_MODEL).status for lane in default_lanes()}
    assert found == dict.fromkeys(
        ("openvino-genai", "openvino-optimum", "onnx-genai", "pytorch"), "ready"
    )


def test_all_four_say_paris(together: dict[str, dict[str, Any]]) -> None:
    assert {name: "Paris" in each["text"] for name, each in together.items()} == dict.fromkeys(
        together, True
    )
    assert all("<|im_end|>" not in each["text"] for each in together.values())


def test_all_four_get_the_same_prompt_and_tell_what_ran(
    together: dict[str, dict[str, Any]],
) -> None:
    assert len({each["prompt_tokens"] for each in together.values()}) == 1
    for record in together.values():
        assert record["status"] == "ok"
        assert record["device_used"] == "CPU" and record["device_name"]
        assert record["library_version"] and record["warm"] is True
        assert record["weights"]["recipe"] and record["weights"]["bytes"] > 50_000_000
        assert record["load_s"] > 0
        assert record["peak_rss_mb"] > 100


def test_the_figures_of_real_engines_are_consistent(together: dict[str, dict[str, Any]]) -> None:
    for record in together.values():
        assert record["ttft_user_ms"] > record["ttft_ms"] > 1
        assert record["tpot_ms"] == pytest.approx(1000 / record["decode_tps"])
        read = record["weights"]["read_bytes"]
        assert record["bandwidth_gbs"] == pytest.approx(read * record["decode_tps"] / 1e9)


def test_together_they_overlap_and_in_turn_they_do_not(
    arena: Arena, together: dict[str, dict[str, Any]]
) -> None:
    starts = [each["started_ns"] for each in together.values()]
    assert max(starts) < min(each["ended_ns"] for each in together.values())
    alone = sorted((each["started_ns"], each["ended_ns"]) for each in ask(arena, IN_TURN).values())
    assert all(earlier[1] < later[0] for earlier, later in zip(alone, alone[1:], strict=False))


def test_greedy_answers_do_not_depend_on_the_mode(
    arena: Arena, together: dict[str, dict[str, Any]]
) -> None:
    alone = ask(arena, IN_TURN)
    assert {name: each["token_ids"] for name, each in alone.items()} == {
        name: each["token_ids"] for name, each in together.items()
    }
