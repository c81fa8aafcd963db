"""Figures against values worked out by hand."""

from __future__ import annotations

import pytest

from playground.runs.metrics import bandwidth_gbs, decode_tps, live_tps, timings

MS = 1_000_000


def test_the_figures_follow_their_definitions() -> None:
    # submitted at 0, begun at 5 ms, tokens at 105, 125, 145, 205 ms
    figures = timings(0, 5 * MS, [105 * MS, 125 * MS, 145 * MS, 205 * MS])
    assert figures.ttft_ms == pytest.approx(100)
    assert figures.ttft_user_ms == pytest.approx(105)
    assert figures.decode_tps == pytest.approx(30)  # 3 intervals in 100 ms
    assert figures.tpot_ms == pytest.approx(100 / 3)
    assert figures.itl_p50_ms == pytest.approx(20)
    assert figures.itl_p95_ms == pytest.approx(56)  # 20 + 0.9 · (60 − 20), as numpy has it


def test_what_cannot_be_known_is_none_and_never_zero() -> None:
    assert set(dict(timings(None, None, [])).values()) == {None}
    one = timings(0, 5 * MS, [105 * MS])
    assert one.ttft_ms == pytest.approx(100)
    assert one.decode_tps is one.tpot_ms is one.itl_p50_ms is None
    assert decode_tps([7, 7]) is None
    assert bandwidth_gbs(None, 30.0) is bandwidth_gbs(10, None) is None


def test_two_tokens_have_one_interval() -> None:
    figures = timings(0, 0, [10 * MS, 30 * MS])
    assert figures.itl_p50_ms == figures.itl_p95_ms == figures.tpot_ms == pytest.approx(20)


def test_bandwidth_is_weights_times_rate() -> None:
    assert bandwidth_gbs(2_000_000_000, 25.0) == pytest.approx(50)


def test_the_live_rate_looks_at_the_last_second_only() -> None:
    slow = [n * 100 * MS for n in range(20)]  # 10 a second for 1.9 s
    fast = [slow[-1] + n * 10 * MS for n in range(1, 201)]  # then 100 a second for 2 s
    assert live_tps(slow, slow[-1]) == pytest.approx(10, rel=0.01)
    assert live_tps(slow + fast, fast[-1]) == pytest.approx(100, rel=0.01)


def test_the_live_rate_is_not_pulled_down_by_a_batch_on_its_way() -> None:
    times = [n * 10 * MS for n in range(300)]
    assert live_tps(times, times[-1] + 60 * MS) == pytest.approx(100, rel=0.01)


def test_the_live_rate_falls_when_nothing_comes_any_more() -> None:
    times = [n * 10 * MS for n in range(300)]
    assert (live_tps(times, times[-1] + 600 * MS) or 0) < 60
    assert (live_tps(times, times[-1] + 3_000 * MS) or 0) == 0


def test_the_live_rate_of_a_beginning_is_none() -> None:
    assert live_tps([], 0) is live_tps([5], 10) is None
