"""A finished lane says which device did its work, and what that cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from playground.arena import Arena
from playground.gauges.probes import Probes
from playground.lanes.lane import Lane, parse
from playground.runs.record import IN_TURN, TOGETHER
from playground.runs.request import Request
from tests.support.stub_meters import StubGauge, StubMeter

FAST, SLOW = parse("fake:CPU:40tps"), parse("fake:CPU:20tps")


@pytest.fixture
def meter() -> StubMeter:
    return StubMeter()


@pytest.fixture
def arena(meter: StubMeter) -> Iterator[Arena]:
    """With a stub of a package that draws 20 W."""
    arena = Arena(probes=Probes(npu=[StubGauge()], power=[meter]))
    yield arena
    arena.close()


def ask(arena: Arena, *chosen: Lane, mode: str = IN_TURN, tokens: int = 60) -> list[Any]:
    for lane in chosen:
        arena.hosts[lane].make_ready("none")
    run = arena.start(Request("Hello", chosen, mode, tokens, model="none", ignore_eos=True))
    assert run.done.wait(60)
    return list(run.result().as_json()["lanes"])


def test_each_lane_in_turn_has_its_own_energy_beside_what_the_machine_draws_idle(
    arena: Arena,
) -> None:
    fast, slow = ask(arena, FAST, SLOW)
    assert fast["energy_j"] == pytest.approx(20 * 60 / 40, rel=0.1)
    assert slow["energy_j"] == pytest.approx(20 * 60 / 20, rel=0.1)
    assert slow["j_per_token"] == pytest.approx(slow["energy_j"] / 60)
    assert fast["idle_w"] == slow["idle_w"] == pytest.approx(20)


def test_lanes_together_have_no_energy_of_their_own(arena: Arena) -> None:
    for record in ask(arena, FAST, SLOW, mode=TOGETHER):
        assert record["energy_j"] is record["j_per_token"] is record["idle_w"] is None
        assert record["device_busy_pct"] is not None


def test_a_meter_that_cannot_be_read_leaves_energy_unknown(arena: Arena, meter: StubMeter) -> None:
    meter.watts = None
    (record,) = ask(arena, FAST)
    assert record["energy_j"] is record["j_per_token"] is record["idle_w"] is None


def test_a_cpu_lane_reports_how_much_of_the_machine_it_used(arena: Arena) -> None:
    (record,) = ask(arena, FAST)
    assert 0 <= record["device_busy_pct"] < 30, "a fake lane mostly waits"
    assert record["device_proof"] == f"used {record['device_busy_pct']:.0f} % of the CPU"


def test_a_short_answer_is_proven_prefill_and_all(arena: Arena) -> None:
    (record,) = ask(arena, FAST, tokens=8)
    assert record["device_busy_pct"] is not None
    assert record["energy_j"] is None, "too short for the meter"


def test_a_lane_that_never_answered_proves_nothing(arena: Arena) -> None:
    run = arena.start(Request("Hello", (FAST,), IN_TURN, 60, model="none"))
    run.stop()
    assert run.done.wait(60)
    (record,) = run.result().as_json()["lanes"]
    assert (record["status"], record["device_busy_pct"]) == ("stopped", None)
    assert record["device_proof"] == ""


def test_an_npu_lane_is_proven_by_the_npu_s_gauge(arena: Arena) -> None:
    arena.hosts[FAST].make_ready("none")
    run = arena.start(Request("Hello", (FAST,), TOGETHER, 60, model="none", ignore_eos=True))
    assert run.done.wait(60)
    lane_run = run.lanes[FAST]
    lane_run.lane = parse("openvino-genai:NPU:int4")  # there is no NPU here to run it on
    lane_run.observe(run.samples, None)
    record = lane_run.record().as_json()
    assert record["device_busy_pct"] == 93
    assert record["device_proof"] == "NPU 93 % busy during this answer"
