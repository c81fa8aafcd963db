"""Benchmarks on real workers: what is measured, in which order, and what a result says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from backends import ENGINES, DeviceSupport, Engine, fake
from playground.arena import Arena
from playground.bench import machine, memory_bandwidth, running
from playground.bench.plan import Plan
from playground.bench.prompts import TEXT, prompts_of
from playground.bench.results import recompute
from playground.bench.running import Step
from playground.bench.schedule import Pace, turns
from playground.bench.statistics import distribution, percentile
from playground.errors import BadInput
from playground.lanes.lane import Lane, parse, parse_all
from playground.lanes.tokenizers import tokenizer_of
from playground.models import DEFAULT_MODEL
from playground.prompt import ByteTokenizer
from playground.runs.benchmark_record import BenchmarkRecord, MemoryCopy
from playground.runs.figures import RunFigures
from playground.runs.record import IN_TURN, TOGETHER

FAST, OTHER, THIRD = parse_all(["fake:CPU:5000tps", "fake:CPU:2000tps", "fake:CPU:1000tps"])
STUB_COPY = MemoryCopy(copy_gbs=10.0, threads=2, array_mb=1.0, passes=1)
Make = Callable[..., Lane]
Prepared = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def stub_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is measured in a test of its own."""
    monkeypatch.setattr(memory_bandwidth, "measure", lambda: STUB_COPY)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Make:
    """`engine("Echo")` is a lane on that backend of tests.support.bench_backends."""

    def lane(name: str, fixed_capacity: bool = False) -> Lane:
        reads = {"CPU": DeviceSupport("none", ("none",), fixed_capacity)}
        engine = Engine(name, f"tests.support.bench_backends:{name}", "", "", reads)
        monkeypatch.setitem(ENGINES, name.lower(), engine)
        return Lane(name.lower(), "CPU", "none")

    return lane


def plan(*lanes: Lane, **settings: Any) -> Plan:
    small = {"prompt_tokens": (8,), "new_tokens": 20, "runs": 2}
    return Plan(lanes, **{**small, **settings})


def steps(arena: Arena, benchmark: Plan) -> list[Step]:
    return list(running.run(benchmark, arena, threading.Event()))


def measure(arena: Arena, *lanes: Lane, **settings: Any) -> dict[str, Any]:
    return steps(arena, plan(*lanes, **settings))[-1].result.as_json()


def begun(row: dict[str, Any]) -> list[int]:
    return [run["t_in_ns"] for run in row["runs"]]


def test_each_lane_has_a_row_for_each_length_with_the_same_count(arena: Arena) -> None:
    length = len(fake.TEXT.encode()) + 10  # beyond the end of the answer
    result = measure(arena, FAST, OTHER, prompt_tokens=(8, 30), new_tokens=length, runs=1)
    assert list(result) == ["settings", "machine", "results"]
    rows = [(row["lane"], row["prompt_tokens"]) for row in result["results"]]
    assert rows == [(lane.name, n) for lane in (FAST, OTHER) for n in (8, 30)]
    for row in result["results"]:
        assert (row["status"], row["finish_reason"]) == ("ok", "length")
        assert [len(run["token_ids"]) for run in row["runs"]] == [length]
        assert [len(run["t_ns"]) for run in row["runs"]] == [length]


def test_lanes_take_turns_and_warm_up_runs_are_left_out(arena: Arena) -> None:
    a, b = measure(arena, FAST, OTHER, warmup=1, runs=2)["results"]
    assert begun(a)[0] < begun(b)[0] < begun(a)[1] < begun(b)[1]
    for row in (a, b):
        assert row["first_run"]["t_in_ns"] < min(*begun(a), *begun(b)), "a warm-up run"
        assert row["first_run"]["ttft_ms"] > 0
        assert row["load_s"] > 0


def test_the_first_run_after_a_load_is_told_once(arena: Arena) -> None:
    first, second = measure(arena, FAST, prompt_tokens=(8, 9), runs=1)["results"]
    assert first["first_run"] and second["first_run"] is None
    again = measure(arena, FAST, runs=1)["results"][0]
    assert again["first_run"], "a benchmark loads anew"


def test_every_figure_can_be_computed_again_from_the_raw_times(arena: Arena) -> None:
    row = measure(arena, THIRD, new_tokens=50, runs=3)["results"][0]
    figures = recompute(BenchmarkRecord.model_validate(row))
    assert figures.p5.as_json() == row["p5"] and figures.p95.as_json() == row["p95"]
    assert figures.median.as_json() == {name: row[name] for name in RunFigures.model_fields}
    rates = [49e9 / (run["t_ns"][-1] - run["t_ns"][0]) for run in row["runs"]]
    waits = [(run["t_ns"][0] - run["t_in_ns"]) / 1e6 for run in row["runs"]]
    assert row["decode_tps"] == pytest.approx(median(rates))
    assert row["ttft_ms"] == pytest.approx(median(waits))
    assert min(rates) <= row["p5"]["decode_tps"] <= row["p95"]["decode_tps"] <= max(rates)


def test_each_round_asks_all_lanes_another_prompt_of_the_exact_length(
    arena: Arena, engine: Make
) -> None:
    lanes = [engine("Echo"), replace(engine("Echo"), precision="other")]
    result = measure(arena, *lanes, prompt_tokens=(8, 200), new_tokens=4)
    by_lane: list[list[list[int]]] = [[], []]
    for row in result["results"]:
        runs = [run for run in [row["first_run"], *row["runs"]] if run]
        by_lane[row["lane"] == lanes[1].name] += [run["token_ids"] for run in runs]
    assert by_lane[0] == by_lane[1]
    firsts, sizes = zip(*(ids[:2] for ids in by_lane[0]), strict=True)
    assert len({*firsts}) == len(firsts) == 5
    assert sizes == (8, 8, 8, 200, 200)


def test_together_all_lanes_run_at_once_and_say_so(arena: Arena) -> None:
    lanes = parse_all(["fake:CPU:90tps", "fake:CPU:100tps"])
    rows = measure(arena, *lanes, mode=TOGETHER, new_tokens=60, runs=1, warmup=0)["results"]
    ends = [[run["t_ns"][-1] for run in row["runs"]] for row in rows]
    assert max(begun(rows[0])[0], begun(rows[1])[0]) < min(ends[0][0], ends[1][0])
    assert [row["contended"] for row in rows] == [True, True]


def test_a_lane_that_dies_says_so_and_the_others_stand(arena: Arena, engine: Make) -> None:
    dying = engine("DiesInItsFifthRun")
    result = measure(arena, dying, FAST, prompt_tokens=(8, 9, 10), runs=2)
    states = {(row["lane"], row["prompt_tokens"]): row for row in result["results"]}
    assert [states[FAST.name, n]["status"] for n in (8, 9, 10)] == ["ok"] * 3
    assert [states[dying.name, n]["status"] for n in (8, 9, 10)] == ["ok", "error", "error"]
    for length in (9, 10):
        row = states[dying.name, length]
        assert "ended unexpectedly" in row["error"]["message"] and row["error"]["fix"]
        assert row["decode_tps"] is row["ttft_ms"] is None and row["runs"] == []


def test_a_lane_that_cannot_be_loaded_says_so_and_the_others_stand(
    arena: Arena, misbehaving: Callable[[str], Lane]
) -> None:
    result = measure(arena, misbehaving("RaisesForAPerson"), FAST, runs=1)
    failed, good = result["results"]
    assert (failed["status"], good["status"]) == ("error", "ok")
    assert failed["error"] == {"message": "There is no such device.", "fix": "Choose another."}


def test_a_fixed_room_is_for_the_longest_prompt_and_its_answer(arena: Arena, engine: Make) -> None:
    result = measure(arena, engine("Echo", True), prompt_tokens=(8, 200), new_tokens=60, runs=1)
    assert [row["capacity"] for row in result["results"]] == [1024, 1024]
    assert plan(FAST, new_tokens=1).capacity(ByteTokenizer()) == 72, "64 are kept for the answer"


def test_an_answer_that_its_room_cuts_short_is_no_figure(arena: Arena, engine: Make) -> None:
    result = measure(arena, engine("Narrow"), prompt_tokens=(32, 8), new_tokens=20, runs=1)
    short, whole = result["results"]
    assert "reached after 8 of 20 new tokens" in short["error"]["message"]
    assert (short["status"], short["runs"], whole["status"]) == ("error", [], "ok")


def test_steps_tell_how_far_it_is_and_stopping_keeps_what_has_ended(arena: Arena) -> None:
    stop, seen = threading.Event(), []
    slow = parse("fake:CPU:5tps")
    for step in running.run(plan(FAST, slow, warmup=0, prompt_tokens=(8, 9)), arena, stop):
        seen.append(step)
        if step.done == 1:  # the other lane's turn would last for 4 s
            threading.Timer(0.3, stop.set).start()
    assert seen[-1].total == 8 and seen[-1].done == 1
    assert [step.seconds_left for step in seen if step.turn][0] is None
    assert seen[-2].seconds_left and seen[-2].turn and seen[-2].turn.lanes == (slow,)
    fast, stopped = seen[-1].result.as_json()["results"]
    assert (fast["status"], len(fast["runs"])) == ("stopped", 1)
    assert fast["decode_tps"] > 0
    assert (stopped["status"], stopped["runs"]) == ("stopped", [])
    assert not arena.hosts.devices.locked()


def test_stopped_while_loading_it_ends_at_once_with_no_rows(arena: Arena) -> None:
    stop = threading.Event()
    generator = running.run(plan(FAST), arena, stop)
    for last in generator:
        stop.set()
        seen = last
    assert seen.result.results == [] and seen.done == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"runs": 0}, "number of runs cannot be 0"),
        ({"warmup": -1}, "warm-up runs cannot be -1"),
        ({"new_tokens": 0}, "new tokens cannot be 0"),
        ({"new_tokens": True}, "new tokens cannot be True"),
        ({"prompt_tokens": ()}, "No prompt length"),
        ({"prompt_tokens": (0,)}, "cannot be 0"),
        ({"prompt_tokens": (8, 8)}, "given twice"),
        ({"prompt_tokens": (8, 32_700)}, "32,900; the model's context is 32,768"),
        ({"mode": "sideways"}, "no mode"),
        ({"lanes": ()}, "No lane"),
        ({"lanes": (FAST, parse("pytorch"))}, "their prompts would differ"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_loaded(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        Plan(**{"lanes": (FAST,), "new_tokens": 200, **settings})
    assert caught.value.fix.endswith(".")


def test_a_context_that_is_known_only_when_the_model_is_there_ends_it_unloaded(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = plan(FAST, OTHER)
    monkeypatch.setattr(ByteTokenizer, "context", 20)
    with pytest.raises(BadInput, match="are 28; the model's context is 20"):
        steps(arena, benchmark)
    assert arena.hosts.pids() == {}


def test_turns_are_interleaved_and_no_two_rounds_have_a_number_in_common() -> None:
    benchmark = plan(FAST, OTHER, THIRD, prompt_tokens=(8, 9), warmup=1, runs=1)
    order = turns(benchmark)
    assert len(order) == benchmark.total == 12
    assert [turn.lanes[0] for turn in order[:6]] == [FAST, OTHER, THIRD] * 2
    assert [turn.counts for turn in order[:6]] == [False] * 3 + [True] * 3
    assert [turn.round for turn in order[::3]] == [0, 1, 2, 3]
    assert len(turns(replace(benchmark, mode=TOGETHER))) == 4


def test_time_left_is_taken_from_the_same_lanes_at_the_nearest_length() -> None:
    first, second, third, *_ = turns(plan(FAST, OTHER, prompt_tokens=(8, 80), warmup=0, runs=1))
    pace = Pace()
    assert pace.left([first]) is None
    pace.add(first, 2.0)
    assert pace.left([first, second, third]) == 6.0, "nothing else is known yet"
    pace.add(second, 5.0)
    assert pace.left([second, third]) == 7.0


def test_percentiles_are_those_of_the_inclusive_definition() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    cuts = quantiles(values, n=20, method="inclusive")
    assert percentile(values, 0.05) == pytest.approx(cuts[0])
    assert percentile(values, 0.95) == pytest.approx(cuts[18])
    assert percentile(values, 0.5) == median(values)
    assert percentile([7.0], 0.95) == 7.0


def test_what_no_run_knows_is_none_and_what_some_know_is_theirs() -> None:
    figures = distribution([RunFigures(ttft_ms=1.0), RunFigures(ttft_ms=3.0, energy_j=5.0)])
    assert figures.median.ttft_ms == 2.0
    assert figures.p5.energy_j == figures.p95.energy_j == 5.0
    assert figures.median.tpot_ms is None


def test_real_prompts_have_exact_lengths_and_no_control_tokens(
    models_home: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared("hf", "")
    monkeypatch.setenv("AIPC_HOME", str(models_home))
    lane = parse("pytorch")
    tokenizer = tokenizer_of(lane, DEFAULT_MODEL)
    prompts = prompts_of(lane, DEFAULT_MODEL, tokenizer)
    for length in (1, 2, 32, 1024):
        assert len(prompts(length, 0)) == length
    assert TEXT.split()[-1] in tokenizer.decode(prompts(1024, 0))
    assert not {*prompts(1024, 0)} & {*tokenizer.stop_ids}
    assert len({prompts(32, number)[0] for number in range(100)}) == 100


def test_a_model_that_wants_a_beginning_of_text_gets_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"max_position_embeddings": 64, "model_type": "llama", "architectures": ["Llama"]}',
        encoding="utf-8",
    )
    words = dict.fromkeys(["<s>", "<unk>", *TEXT.split()])
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "model.safetensors").touch()
    lane = parse("pytorch")
    prompts = prompts_of(lane, str(tmp_path), tokenizer_of(lane, str(tmp_path)))
    first, second = prompts(9, 0), prompts(9, 1)
    assert first[0] == second[0] == 0 and first[1] != second[1]
    assert len(first) == 9 and 0 not in prompts(400, 0)[1:]


def test_the_copy_bandwidth_is_bytes_read_and_written_over_time() -> None:
    bandwidth = memory_bandwidth.copy_bandwidth(8 * 2**20, min_s=0.05)
    assert bandwidth.copy_gbs is not None and 0.1 < bandwidth.copy_gbs < 5_000
    assert bandwidth.threads == memory_bandwidth.cores()
    assert bandwidth.passes is not None and bandwidth.passes >= memory_bandwidth.MIN_PASSES


def test_a_share_of_the_roof_is_given_where_the_lane_reads_that_memory() -> None:
    assert memory_bandwidth.utilization(5.0, STUB_COPY.copy_gbs, parse("pytorch")) == 0.5
    assert memory_bandwidth.utilization(5.0, STUB_COPY.copy_gbs, parse("pytorch:CUDA")) is None
    assert memory_bandwidth.utilization(None, STUB_COPY.copy_gbs, parse("pytorch")) is None
    assert memory_bandwidth.utilization(5.0, None, parse("pytorch")) is None


def test_what_slows_a_processor_down_is_read_from_a_stub_of_sysfs(tmp_path: Path) -> None:
    assert machine.conditions(tmp_path).throttle_events is None
    for core, count in (("cpu0", "3"), ("cpu1", "4")):
        folder = tmp_path / machine.CPUS / core / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(f"{count}\n", encoding="utf-8")
    governor = tmp_path / machine.CPUS / "cpu0/cpufreq/scaling_governor"
    governor.parent.mkdir()
    governor.write_text("powersave\n", encoding="utf-8")
    conditions = machine.conditions(tmp_path)
    assert (conditions.throttle_events, conditions.governor) == (7, "powersave")


def test_the_machine_is_in_the_result(arena: Arena) -> None:
    description = measure(arena, FAST, runs=1)["machine"]
    assert description["cpu"] and description["os"] and description["memory_gb"] > 0.5
    assert {"before", "after", "power_source", "devices", "memory_copy"} <= {*description}
    assert any(row["package"] == "psutil" and row[".venv"] for row in description["packages"])


def test_a_real_engine_has_its_share_of_the_roof(
    models_home: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = parse("openvino-genai:CPU:int8")
    prepared(lane.format, lane.precision)
    monkeypatch.setenv("AIPC_HOME", str(models_home))
    arena = Arena()
    try:
        row = measure(arena, lane, prompt_tokens=(32,), new_tokens=16, runs=1)["results"][0]
    finally:
        arena.close()
    assert (row["status"], row["prompt_tokens"], row["mode"]) == ("ok", 32, IN_TURN)
    assert row["bandwidth_gbs"] == pytest.approx(
        row["weights"]["read_bytes"] * row["decode_tps"] / 1e9
    )
    assert row["roof_share"] == pytest.approx(row["bandwidth_gbs"] / 10)
