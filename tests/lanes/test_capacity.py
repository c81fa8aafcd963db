"""The NPU's pipeline has a fixed capacity for prompt and answer, which it reports and keeps. Tested
on the CPU stand-in, whose static shapes and limits are the real ones, with the small Phi-3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backends.base import BackendError, Loaded, Options
from backends.openvino_genai import OpenVinoGenAI
from playground.arena import Arena
from playground.lanes.lane import CAPACITIES, parse
from playground.runs.lane_run import LaneRun
from playground.runs.request import Request
from tests.support import phi3_models

NPU = "openvino-genai:NPU-on-CPU:int4"
OTHER = "onnx-genai:CPU:int4"
COMPILED = "Compiled during this load; the next load uses the cache."
ALL_OF_IT = Options(max_new_tokens=9999, ignore_eos=True)


def words(tokens: int) -> list[int]:
    """A prompt of so many ids."""
    return [30 + n % 50 for n in range(tokens)]


@pytest.fixture(scope="module")
def folder(models_home: Path) -> Path:
    return phi3_models.prepared(models_home, "openvino-npu", "int4")


@pytest.fixture(scope="module", params=CAPACITIES[:2])
def loaded(folder: Path, request: pytest.FixtureRequest) -> tuple[OpenVinoGenAI, Loaded]:
    backend = OpenVinoGenAI()
    return backend, backend.load(folder, "NPU-on-CPU", "int4", request.param)


def test_the_capacity_is_reported_with_the_prompts_limit(
    loaded: tuple[OpenVinoGenAI, Loaded],
) -> None:
    report = loaded[1]
    assert report.capacity in CAPACITIES
    assert report.max_prompt == report.capacity - 64
    assert report.device_used == "CPU" and "CPU" in report.notes[0]


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 128, 150, -65, -64])
def test_prompt_and_answer_fill_the_capacity_to_the_last_token(
    loaded: tuple[OpenVinoGenAI, Loaded], tokens: int
) -> None:
    backend, report = loaded
    assert report.capacity
    tokens = tokens if tokens > 0 else report.capacity + tokens
    left = report.capacity - tokens
    counts = [
        len(list(backend.generate(words(tokens), replace(ALL_OF_IT, max_new_tokens=limit))))
        for limit in (left - 1, left, left + 1, 9999)
    ]
    assert counts == [left - 1, left, left, left]


def test_a_capacity_that_no_block_divides_is_kept(folder: Path) -> None:
    backend = OpenVinoGenAI()  # the pipeline itself rounds such a capacity up
    report = backend.load(folder, "NPU-on-CPU", "int4", 200)
    assert (report.capacity, report.max_prompt) == (200, 136)
    assert len(list(backend.generate(words(100), ALL_OF_IT))) == 100


def test_a_prompt_beyond_the_limit_is_refused_and_the_next_is_answered(
    loaded: tuple[OpenVinoGenAI, Loaded],
) -> None:
    backend, report = loaded
    assert report.max_prompt
    with pytest.raises(BackendError, match=f"loaded for up to {report.max_prompt:,}") as caught:
        list(backend.generate(words(report.max_prompt + 1), ALL_OF_IT))
    assert caught.value.fix
    assert len(list(backend.generate(words(5), replace(ALL_OF_IT, max_new_tokens=3)))) == 3


@pytest.fixture
def load(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Loaded]:
    monkeypatch.setenv("AIPC_CACHE", str(tmp_path))
    return lambda capacity: OpenVinoGenAI().load(folder, "NPU-on-CPU", "int4", capacity)


def test_only_the_first_load_of_a_capacity_says_that_it_compiled(
    load: Callable[[int], Loaded],
) -> None:
    capacities = (256, 256, 1024, 256, 1024)
    compiled = [COMPILED in load(capacity).notes for capacity in capacities]
    assert compiled == [True, False, True, False, False]


def test_a_damaged_cache_is_compiled_anew_and_says_so(
    load: Callable[[int], Loaded], tmp_path: Path
) -> None:
    load(256)
    (blob,) = tmp_path.rglob("*.blob")
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:1000])
    assert COMPILED in load(256).notes
    assert COMPILED not in load(256).notes


@pytest.fixture(scope="module")
def ask(models_home: Path) -> Iterator[Callable[..., dict[str, LaneRun]]]:
    """`ask(prompt, lanes, tokens)`: each lane's part in the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(models_home))
        arena, model = Arena(), str(phi3_models.source(models_home))

        def run(prompt: str, names: list[str], tokens: int) -> dict[str, LaneRun]:
            columns = tuple(parse(name) for name in names)
            request = Request(prompt, columns, model=model, max_new_tokens=tokens, ignore_eos=True)
            started = arena.start(request)
            list(started.states())
            return {lane.name: run for lane, run in started.lanes.items()}

        yield run
        arena.close()


def test_a_run_that_needs_a_larger_capacity_loads_it_and_the_record_shows_it(
    ask: Callable[..., dict[str, LaneRun]],
) -> None:
    needed = []
    for tokens in (8, 300, 8):  # the larger capacity serves the smaller need, too
        run = ask(phi3_models.QUESTION, [NPU], tokens)[NPU]
        record = run.record().as_json()
        assert (record["status"], record["new_tokens"]) == ("ok", tokens)
        needed.append((record["capacity"], run.host.worker.starts))
    assert needed == [(256, 1), (1024, 2), (1024, 2)]


def test_an_answer_that_fills_the_largest_capacity_ends_with_context(
    ask: Callable[..., dict[str, LaneRun]],
) -> None:
    record = ask("x" * 3900, [NPU], 9999)[NPU].record().as_json()
    assert record["capacity"] == CAPACITIES[-1]
    assert record["prompt_tokens"] + record["new_tokens"] == CAPACITIES[-1]
    assert (record["status"], record["finish_reason"]) == ("ok", "context")


def test_a_prompt_over_the_largest_capacity_gets_its_sentence_and_the_others_answer(
    ask: Callable[..., dict[str, LaneRun]],
) -> None:
    runs = ask("x" * 4040, [NPU, OTHER], 8)
    refused = runs[NPU]
    assert refused.status == "error" and refused.error
    assert refused.error.message == (
        f"The prompt has {len(refused.prompt):,} tokens; the limit of this lane is 4,032."
    )
    assert "CPU" in refused.error.fix
    assert (runs[OTHER].status, runs[OTHER].record().as_json()["new_tokens"]) == ("ok", 8)
