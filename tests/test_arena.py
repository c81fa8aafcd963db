"""Runs on real workers: together and in turn, stopped, failing, and their records."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from backends.fake import TEXT
from playground.arena import Arena, Run
from playground.errors import BadInput
from playground.lanes.lane import Lane, parse, parse_all
from playground.runs.record import IN_TURN, TOGETHER
from playground.runs.request import Request

RECORD = [
    "lane",
    "backend",
    "device",
    "device_used",
    "device_name",
    "precision",
    "weights",
    "library_version",
    "threads",
    "capacity",
    "model",
    "mode",
    "warm",
    "status",
    "text",
    "token_ids",
    "finish_reason",
    "prompt_tokens",
    "new_tokens",
    "load_s",
    "ttft_ms",
    "ttft_user_ms",
    "decode_tps",
    "tpot_ms",
    "itl_p50_ms",
    "itl_p95_ms",
    "peak_rss_mb",
    "bandwidth_gbs",
    "energy_j",
    "j_per_token",
    "idle_w",
    "device_busy_pct",
    "device_proof",
    "started_ns",
    "ended_ns",
    "error",
]
THREE = ["fake:CPU:200tps", "fake:CPU:100tps", "fake:CPU:150tps"]


def ask(arena: Arena, lanes: list[Lane], **settings: Any) -> dict[str, Any]:
    """The final result of a run."""
    return list(begin(arena, lanes, **settings).states())[-1].as_json()


def begin(arena: Arena, lanes: list[Lane], **settings: Any) -> Run:
    return arena.start(Request("Hello", tuple(lanes), **settings))


def until(run: Run, lane: Lane, tokens: int) -> None:
    """Wait for the lane to have made so many tokens."""
    while run.lanes[lane].view().new_tokens < tokens:
        assert not run.done.wait(0.01)


def spans(result: dict[str, Any]) -> list[tuple[int, int]]:
    return [(lane["started_ns"], lane["ended_ns"]) for lane in result["lanes"]]


def test_together_all_lanes_overlap_in_time(arena: Arena) -> None:
    result = ask(arena, parse_all(THREE), mode=TOGETHER, max_new_tokens=60)
    starts, ends = zip(*spans(result), strict=True)
    assert max(starts) < min(ends)
    assert (max(starts) - min(starts)) / 1e6 < 200, "one barrier lets them all go"


def test_in_turn_no_two_lanes_overlap_and_there_is_a_pause_between(arena: Arena) -> None:
    result = ask(arena, parse_all(THREE), mode=IN_TURN, max_new_tokens=30)
    times = spans(result)
    pauses = [
        (later[0] - earlier[1]) / 1e9 for earlier, later in zip(times, times[1:], strict=False)
    ]
    assert [lane["lane"] for lane in result["lanes"]] == THREE
    assert min(pauses) > 0.4
    waited = [lane["ttft_user_ms"] - lane["ttft_ms"] for lane in result["lanes"]]
    assert max(waited) < 300, "the wait for one's turn is not the engine's"


def test_the_record_has_every_field_and_its_own_figures(arena: Arena) -> None:
    result = ask(arena, [parse("fake:CPU:100tps")], max_new_tokens=80)
    record = result["lanes"][0]
    assert list(result) == ["mode", "model", "prompt_tokens", "power_source", "lanes"]
    assert list(record) == RECORD
    assert record["new_tokens"] == len(record["token_ids"]) == 80
    assert record["text"] == TEXT.encode()[:80].decode(errors="replace")
    assert record["decode_tps"] == pytest.approx(100, rel=0.1)
    assert record["ttft_user_ms"] > record["ttft_ms"] > 0
    assert record["finish_reason"] == "length"
    assert record["warm"] is True
    assert record["peak_rss_mb"] > 1
    assert record["energy_j"] is record["j_per_token"] is record["bandwidth_gbs"] is None
    assert 0 <= record["device_busy_pct"] < 50 and record["device_proof"].startswith("used ")


def test_the_stop_id_is_counted_and_not_in_the_text(arena: Arena) -> None:
    record = ask(arena, [parse("fake:CPU:5000tps")], max_new_tokens=5_000)["lanes"][0]
    assert record["finish_reason"] == "stop"
    assert record["token_ids"][-1] == 256
    assert record["text"] == TEXT


def test_stopping_one_lane_keeps_what_it_said_and_the_others_go_on(arena: Arena) -> None:
    stopped, other = parse("fake:CPU:50tps"), parse("fake:CPU:100tps")
    run = begin(arena, [stopped, other], max_new_tokens=100)
    until(run, stopped, 10)
    run.stop(stopped)
    assert run.done.wait(10)
    first, second = run.result().as_json()["lanes"]
    assert (first["status"], first["finish_reason"]) == ("stopped", "stopped")
    assert 10 <= first["new_tokens"] < 40
    assert TEXT.startswith(first["text"]) and first["text"]
    assert (second["status"], second["new_tokens"]) == ("ok", 100)


def test_stopping_all_in_turn_skips_those_not_yet_begun(arena: Arena) -> None:
    lanes = parse_all(THREE)
    run = begin(arena, lanes, mode=IN_TURN, max_new_tokens=2_000)
    until(run, lanes[0], 5)
    run.stop()
    assert run.done.wait(5)
    assert [lane["status"] for lane in run.result().as_json()["lanes"]] == ["stopped"] * 3
    assert [lane["new_tokens"] > 0 for lane in run.result().as_json()["lanes"]] == [
        True,
        False,
        False,
    ]


def test_a_stop_before_the_first_token_is_obeyed(arena: Arena) -> None:
    run = begin(arena, [parse("fake:CPU:20tps")], max_new_tokens=2_000)
    run.stop()
    assert run.done.wait(10)
    assert run.result().as_json()["lanes"][0]["status"] == "stopped"


def test_a_stop_while_a_lane_is_loading_does_not_wait_for_it(arena: Arena) -> None:
    lane = parse("fake:CPU:20tps")
    with arena.hosts.devices:  # as long as another lane's load lasts
        run = begin(arena, [lane])
        run.stop()
        assert run.done.wait(2)
    assert run.result().as_json()["lanes"][0]["status"] == "stopped"


def test_a_worker_lost_between_loading_and_its_turn_never_answers_unloaded(arena: Arena) -> None:
    first, second = parse("fake:CPU:50tps"), parse("fake:CPU:78tps")
    run = begin(arena, [first, second], mode=IN_TURN, max_new_tokens=40)
    until(run, first, 5)
    arena.hosts[second].worker.kill()
    assert run.done.wait(10)
    record = run.result().as_json()["lanes"][1]
    assert record["status"] == "error"
    assert "ended unexpectedly" in record["error"]["message"]
    assert record["decode_tps"] is None


def test_a_closed_arena_starts_no_worker_that_was_waiting_for_its_turn(arena: Arena) -> None:
    lanes = parse_all(THREE)
    with arena.hosts.devices:
        run = begin(arena, lanes)
        wait_until(lambda: all(arena.hosts[lane].stage.name == "wait" for lane in lanes))
        arena.close()
    assert run.done.wait(10)
    assert arena.hosts.pids() == {}


def test_a_lane_chosen_again_while_it_is_being_released_is_loaded(arena: Arena) -> None:
    lane, other = parse("fake:CPU:50tps"), parse("fake:CPU:60tps")
    arena.hosts.choose([lane], "none")
    wait_until(lambda: arena.hosts[lane].is_ready("none"))
    run = begin(arena, [other], max_new_tokens=60)
    until(run, other, 3)
    arena.hosts.choose([other], "none")
    arena.hosts.choose([lane, other], "none")
    assert run.done.wait(10)
    wait_until(lambda: arena.hosts[lane].is_ready("none"))


def test_a_fault_of_ours_leaves_no_column_waiting(arena: Arena, tmp_path: Path) -> None:
    good, bad = parse("fake:CPU:500tps"), parse("fake:CPU:501tps")
    (tmp_path / "file").touch()
    arena.hosts[bad].worker.log_file = tmp_path / "file" / "in the way.log"
    result = ask(arena, [good, bad], max_new_tokens=5)
    assert [lane["status"] for lane in result["lanes"]] == ["ok", "error"]
    assert "could not be started" in result["lanes"][1]["error"]["message"]


def test_a_failing_lane_says_so_and_the_others_go_on(
    arena: Arena, misbehaving: Callable[[str], Lane]
) -> None:
    lanes = [misbehaving("RaisesForAPerson"), parse("fake:CPU:200tps"), misbehaving("Steady")]
    result = ask(arena, lanes, max_new_tokens=20)
    assert [lane["status"] for lane in result["lanes"]] == ["error", "ok", "ok"]
    failed = result["lanes"][0]
    assert failed["error"] == {"message": "There is no such device.", "fix": "Choose another."}
    assert failed["decode_tps"] is failed["ttft_ms"] is failed["started_ns"] is None


def test_a_lane_that_dies_midway_keeps_what_it_said_and_comes_back(arena: Arena) -> None:
    lane = parse("fake:CPU:50tps")
    run = begin(arena, [lane], max_new_tokens=1_000)
    until(run, lane, 5)
    psutil.Process(arena.hosts[lane].worker.pid).kill()
    assert run.done.wait(10)
    record = run.result().as_json()["lanes"][0]
    assert record["status"] == "error"
    assert record["text"] and TEXT.startswith(record["text"])
    assert "ended unexpectedly" in record["error"]["message"]
    assert ask(arena, [lane], max_new_tokens=5)["lanes"][0]["status"] == "ok"


def test_states_stream_at_about_eight_a_second_and_the_last_is_final(arena: Arena) -> None:
    lane = parse("fake:CPU:50tps")
    ask(arena, [lane], max_new_tokens=1)  # loaded
    began = time.monotonic()
    states = list(begin(arena, [lane], max_new_tokens=100).states())
    assert len(states) <= 10 * (time.monotonic() - began) + 2
    counts = [state.lanes[0].new_tokens or 0 for state in states]
    assert counts == sorted(counts)
    assert states[-1].lanes[0].status == "ok"


def test_choosing_lanes_loads_them_and_unloads_the_others(arena: Arena) -> None:
    first, second = parse("fake:CPU:50tps"), parse("fake:CPU:60tps")
    hosts = arena.hosts
    hosts.choose([first], "none")
    wait_until(lambda: hosts[first].is_ready("none"))
    pid = hosts[first].worker.pid
    hosts.choose([second], "none")
    wait_until(lambda: hosts[second].is_ready("none") and not psutil.pid_exists(pid or 0))
    assert hosts[first].stage.name == "idle"


def test_a_run_is_not_disturbed_by_lanes_that_are_chosen_meanwhile(arena: Arena) -> None:
    lane, other = parse("fake:CPU:50tps"), parse("fake:CPU:60tps")
    run = begin(arena, [lane], max_new_tokens=100)
    until(run, lane, 5)
    arena.hosts.choose([other], "none")
    assert run.done.wait(10)
    assert run.result().as_json()["lanes"][0]["status"] == "ok"
    wait_until(lambda: not arena.hosts[lane].worker.alive)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prompt": "  \n"}, "The prompt is empty"),
        ({"prompt": "x" * 2_000_000}, "characters"),
        ({"max_new_tokens": 0}, "max_new_tokens cannot be 0"),
        ({"max_new_tokens": -1}, "max_new_tokens cannot be -1"),
        ({"max_new_tokens": 10**9}, "max_new_tokens cannot be 1000000000"),
        ({"max_new_tokens": True}, "max_new_tokens"),
        ({"max_new_tokens": "5"}, "max_new_tokens"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"mode": "sideways"}, "no mode"),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence_and_a_fix(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        Request(**{"prompt": "Hello", "lanes": (parse("fake"),), **settings})
    assert caught.value.fix.endswith(".")


def test_a_prompt_over_the_context_is_refused_with_the_figures(arena: Arena) -> None:
    run = Run(Request("x" * 40_000, (parse("fake"),)), arena.hosts, arena.sampler)
    for _ in range(2):  # each lane asks; the second must not get what the first was refused
        with pytest.raises(
            BadInput, match="40,000 tokens; the model's context, answer included, is 32,768"
        ):
            run.begin()


def test_an_answer_that_fills_the_context_says_so(arena: Arena) -> None:
    request = Request("x" * 32_760, (parse("fake:CPU:1000tps"),), max_new_tokens=100)
    record = list(arena.start(request).states())[-1].as_json()["lanes"][0]
    assert (record["finish_reason"], record["new_tokens"]) == ("context", 8)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_a_lane_that_is_lost_while_its_run_waits_for_the_devices_is_loaded_again(
    arena: Arena,
) -> None:
    lane = parse("fake:CPU:500tps")
    arena.hosts[lane].make_ready("none")
    with arena.hosts.devices:  # another run has them
        run = arena.start(Request("Hello", (lane,), max_new_tokens=8, model="none"))
        wait_until(lambda: run.lanes[lane].prompt != [])
        arena.hosts[lane].worker.close()
    assert run.done.wait(30)
    assert run.result().as_json()["lanes"][0]["status"] == "ok"


def test_a_record_keeps_the_weights_that_were_measured(arena: Arena) -> None:
    lane = parse("fake:CPU:500tps")
    run = begin(arena, [lane], max_new_tokens=8)
    assert run.done.wait(30)
    measured = run.result().as_json()["lanes"][0]["weights"]
    arena.hosts[lane].weights = {"recipe": "of another model", "bytes": 1, "read_bytes": 1}
    assert run.result().as_json()["lanes"][0]["weights"] == measured
