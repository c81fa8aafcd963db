"""Our figures beside those of others for the very same answers: two clocks on one run, so that a
busy machine slows both alike. Ours go the whole way, from the worker's loop to the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from backends import ENGINES
from playground.arena import Arena
from playground.bench.prompts import TEXT
from playground.lanes.lane import Lane, parse
from playground.runs.record import Record
from playground.runs.request import Request

TOKENS = 200
ANSWERS = 3  # the median of them: one may be caught by a pause between the two clocks
OTHERS = {
    "openvino-genai:CPU:int8": "tests.support.two_clocks:WatchedOpenVino",
    "onnx-genai:CPU:int4": "tests.support.two_clocks:WatchedOnnx",
}
Pair = tuple[Record, dict[str, Any]]


@pytest.fixture(params=OTHERS, scope="module")
def pairs(
    request: pytest.FixtureRequest,
    models_home: Path,
    prepared: Callable[[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Pair]]:
    """Our record and what the other clock said of the same answer."""
    lane = parse(request.param)
    prepared(lane.format, lane.precision)
    file = tmp_path_factory.mktemp("clocks") / "other clock.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(models_home))
        patch.setenv("TWO_CLOCKS", str(file))
        watched = replace(lane.engine, target=OTHERS[request.param])
        patch.setitem(ENGINES, lane.backend, watched)
        arena = Arena()
        try:
            ours = [answer(arena, lane) for _ in range(ANSWERS)]
        finally:
            arena.close()
    lines = file.read_text(encoding="utf-8").splitlines()
    yield list(zip(ours, map(json.loads, lines[-ANSWERS:]), strict=True))


def answer(arena: Arena, lane: Lane) -> Record:
    """A prompt of some hundred tokens: a first token within a few ms would tell of nothing else
    than the way between two clocks."""
    request = Request(3 * TEXT, (lane,), max_new_tokens=TOKENS, ignore_eos=True)
    record = list(arena.start(request).states())[-1].lanes[0]
    assert record.status == "ok", record.error
    return record


def test_both_count_the_same_tokens(pairs: list[Pair]) -> None:
    for ours, other in pairs:
        assert ours.new_tokens == other["tokens"] == TOKENS
        assert (ours.prompt_tokens or 0) > 500


@pytest.mark.parametrize("figure", ["ttft_ms", "decode_tps"])
def test_they_agree_within_two_percent(pairs: list[Pair], figure: str) -> None:
    assert median(getattr(ours, figure) / other[figure] for ours, other in pairs) == pytest.approx(
        1, abs=0.02
    )
