"""What is asked and measured is kept by itself, and only where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from playground import history
from playground.arena import Arena
from playground.history import History
from playground.lanes.lane import parse
from playground.runs.record import IN_TURN, RunResult
from playground.runs.request import Request
from tests.support.command_line import FAST, playground

LANE = parse(FAST)
HELLO = Request("Hello", (LANE,), IN_TURN, 600, system="Be brief.", ignore_eos=True)


@pytest.fixture
def store(tmp_path: Path) -> History:
    return History(tmp_path / "history.sqlite")


@pytest.fixture
def arena(store: History) -> Iterator[Arena]:
    arena = Arena(store)
    yield arena
    arena.close()


def ended(arena: Arena, *, keep: bool = True, request: Request = HELLO) -> RunResult:
    run = arena.start(request, keep=keep)
    assert run.done.wait(60)
    return run.result()


def test_a_run_is_kept_with_its_settings_records_and_gauges(arena: Arena, store: History) -> None:
    result = ended(arena)
    arena.close()
    (summary,) = store.find()
    entry = store.get(summary.id)
    assert entry is not None and entry.result == result
    assert entry.settings.as_json() == {**vars(HELLO), "lanes": [FAST]}
    assert len(entry.gauges) >= 2, "it took longer than a second"
    last = entry.gauges[-1]
    assert isinstance(last, dict) and last["cpu_percent"] is not None
    assert list(last["workers"]) == [FAST]
    again = Request(**{**entry.settings.as_json(), "lanes": (LANE,)})
    assert again == HELLO, "it can be asked again just so"


def test_a_guest_s_run_is_not_kept(arena: Arena, store: History) -> None:
    ended(arena, keep=False)
    arena.close()
    assert store.count() == 0


def test_a_run_that_never_began_is_not_kept(arena: Arena, store: History) -> None:
    run = arena.start(HELLO)
    run.stop()
    assert run.done.wait(60)
    arena.close()
    assert store.count() == 0


def test_a_history_that_cannot_be_written_is_said_and_costs_no_run(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder", encoding="utf-8")
    arena = Arena(History(in_the_way / "history.sqlite"))
    result = ended(arena)
    arena.close()
    assert [record.status for record in result.lanes] == ["ok"]
    assert "history" in arena.history_writer.notice.lower()


@pytest.mark.engine
def test_ask_and_bench_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    short = ("--lanes", FAST, "--max-new-tokens", "8")
    assert playground("ask", "Hello", *short, home=tmp_path).returncode == 0
    assert playground("ask", "Secret", *short, "--no-history", home=tmp_path).returncode == 0
    bench = ("--lanes", FAST, "--prompt-tokens", "8", "--new-tokens", "8", "--runs", "1")
    assert playground("bench", *bench, home=tmp_path).returncode == 0
    assert playground("bench", *bench, "--no-history", home=tmp_path).returncode == 0
    kept = History(tmp_path / "history.sqlite").find()
    assert [(entry.kind, entry.prompt) for entry in kept] == [
        (history.BENCH, ""),
        (history.RUN, "Hello"),
    ]
