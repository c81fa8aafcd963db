"""What was measured is kept: through kill -9, beside other processes, and for its user only."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from playground.errors import PlaygroundError
from playground.history import BENCH, RUN, History
from playground.workers.subprocesses import environment
from tests.support.command_line import playground
from tests.support.measured import bench, entry, record, result, settings

# Writes runs for ever, and says the id of each once the store has it.
WRITER = """
import sys
from pathlib import Path
from playground.history import History
from tests.support.measured import entry, result, settings
history, me, number = History(Path(sys.argv[1])), sys.argv[2], 0
while True:
    number += 1
    written = settings(f"{me} {number} " + "x" * (number * 7919 % 60_000))
    print(history.add(entry(result(), written, [{"cpu_percent": number}])), number, flush=True)
"""


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.sqlite")


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": environment()["PYTHONPATH"]},
        cwd=Path(__file__).parents[2],
    )


def keep(history: History, prompt: str = "Hi", lane: str = "onnx-genai:CPU:int4") -> int:
    return history.add(entry(result(record(lane)), settings(prompt)))


def test_what_was_added_comes_back_as_it_was(history: History) -> None:
    gauges: list[object] = [{"cpu_percent": 12.5}, {"cpu_percent": None}]
    kept_settings, measured = settings("你好 \0 \ud800 “quoted”"), result()
    entry_id = history.add(entry(measured, kept_settings, gauges))
    kept = history.get(entry_id)
    assert kept is not None and kept.id == entry_id and kept.made_at
    assert (kept.settings.as_json(), kept.result.as_json()) == (kept_settings, measured)
    assert kept.gauges == gauges


def test_killed_writers_lose_at_most_the_run_in_flight(tmp_path: Path) -> None:
    path, chance = tmp_path / "history.sqlite", random.Random(5)
    added: dict[int, str] = {}
    for generation in range(4):
        names = [f"{generation}-{name}" for name in "ab"]
        writers = {name: child(WRITER, str(path), name) for name in names}
        for me, writer in writers.items():
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(chance.randint(1, 30))]
            writer.kill()
            rest = [line for line in writer.stdout if line.endswith("\n")]
            writer.stdout.close()
            writer.wait()
            for line in [*lines, *rest]:
                first, number = line.split()
                added[int(first)] = f"{me} {number} "
    history = History(path)
    for entry_id, prompt in added.items():
        kept = history.get(entry_id)
        assert kept is not None and kept.prompt.startswith(prompt)
    in_flight = 8
    assert len(added) <= history.count() <= len(added) + in_flight
    assert history.notice == ""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_threads_may_add_find_and_delete_at_once(history: History) -> None:
    def work(number: int) -> int:
        added = keep(history, f"number {number}")
        assert history.find(f"number {number}")
        return added if number % 2 else int(history.delete(added)) - 1

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(work, range(40)))
    assert sorted(summary.id for summary in history.find()) == sorted(filter(None, ids))


def test_find_tells_the_newest_first_and_goes_through_them_page_by_page(history: History) -> None:
    ids = [keep(history, f"prompt {number}") for number in range(5)]
    assert [summary.id for summary in history.find(limit=2)] == ids[:2:-1]
    assert [summary.id for summary in history.find(limit=2, offset=4)] == ids[:1]
    older = history.add(entry(result(), settings(), made_at="2024-01-01T00:00:00.000Z"))
    assert history.find()[-1].id == older


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("100 %", [1]),
        ("%", [1]),
        ("_", [2]),
        ("ÜBER", [2]),
        ("onnx-genai:cpu", [1]),
        ("smollm2", [1, 2, 3]),
        ("\\", []),
        ("x" * 100_000, []),
    ],
)
def test_find_takes_the_text_as_it_is_in_any_case(
    history: History, text: str, hits: list[int]
) -> None:
    keep(history, "Are 100 % enough?")
    keep(history, "snake_case über alles", "pytorch:CPU:fp32")
    keep(history, "short", "pytorch:CPU:fp32")
    assert sorted(summary.id for summary in history.find(text)) == hits


def test_a_summary_tells_what_was_run_without_its_answers(history: History) -> None:
    keep(history, "x" * 5000)
    lengths = record(prompt_tokens=32, decode_tps=50.0), record(prompt_tokens=256)
    history.add(entry(bench(*lengths)))
    [measured], [run] = history.find(kind=BENCH), history.find(kind=RUN)
    assert run.prompt == "x" * 200
    lane = {"lane": "onnx-genai:CPU:int4", "status": "ok", "decode_tps": 41.2, "prompt_tokens": 37}
    assert [record.as_json() for record in run.lanes] == [lane]
    assert (measured.model, measured.mode) == ("smollm2-135m", "in-turn")
    figures = [(record.decode_tps, record.prompt_tokens) for record in measured.lanes]
    assert figures == [(50.0, 32)], "of the first length, which it names"


def test_what_is_deleted_is_gone_from_the_disk_and_its_id_is_not_given_again(
    history: History,
) -> None:
    ids = [keep(history, "my secret diary " * 1000), keep(history), keep(history, "confidential")]
    assert history.delete(ids[0]) and not history.delete(ids[0]) and not history.delete(2**70)
    assert history.get(ids[0]) is None and history.get(2**70) is None
    assert history.delete_all() == 2 and history.find() == []
    left = b"".join(file.read_bytes() for file in history.path.parent.glob("history*"))
    assert b"diary" not in left and b"confidential" not in left
    assert keep(history) > max(ids)


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a user's folders apart by itself")
def test_only_its_user_can_read_it(history: History) -> None:
    history.path.touch(0o644)
    keep(history)
    connection = sqlite3.connect(history.path)  # holds what SQLite keeps beside the file
    connection.execute("SELECT count(*) FROM entries").fetchone()
    modes = {file.name: file.stat().st_mode & 0o777 for file in history.path.parent.glob("h*")}
    connection.close()
    assert set(modes.values()) == {0o600} and f"{history.path.name}-wal" in modes


def test_a_history_of_a_newer_program_is_refused_and_left_alone(history: History) -> None:
    keep(history)
    connection = sqlite3.connect(history.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = history.path.read_bytes()
    with pytest.raises(PlaygroundError, match="newer version.* Update the program"):
        keep(history)
    assert history.path.read_bytes() == before


@pytest.mark.parametrize("damage", ["no database", "zeros", "cut", "a hole"])
def test_a_damaged_history_is_set_aside_and_a_new_one_begun(history: History, damage: str) -> None:
    for _ in range(50):
        keep(history, "x" * 3000)
    data = history.path.read_bytes()
    broken = {
        "no database": b"This is a letter to my aunt.\n" * 100,
        "zeros": bytes(len(data)),
        "cut": data[: len(data) // 2],
        "a hole": data[:4096] + bytes(40_000) + data[44_096:],
    }[damage]
    history.path.write_bytes(broken)
    with ThreadPoolExecutor(4) as pool:  # the page's threads notice it at the same time
        ids = list(pool.map(lambda _: keep(history), range(4)))
    [aside] = history.path.parent.glob("history-damaged-*.sqlite")
    assert aside.read_bytes() == broken
    assert str(aside) in history.notice
    assert sorted(summary.id for summary in history.find()) == sorted(ids)


@pytest.mark.skipif(os.name != "posix", reason="a limit of a file's size stands for a full disk")
def test_a_full_disk_is_said_and_what_was_kept_stays(history: History) -> None:
    keep(history)
    code = """
import resource, sys
from pathlib import Path
from playground.errors import PlaygroundError
from playground.history import History
from tests.support.measured import entry, result, settings
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    History(Path(sys.argv[1])).add(entry(result(), settings("x" * 100_000)))
except PlaygroundError as error:
    print(error)
"""
    printed, _ = child(code, str(history.path)).communicate(timeout=60)
    assert "The history cannot be used: " in printed and "Free some space" in printed
    assert history.count() == 1 and keep(history) and history.notice == ""


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlaygroundError, match="The history cannot be used: .*AIPC_HOME"):
        keep(History(tmp_path / "file" / "history.sqlite"))


def test_a_run_that_is_no_json_is_said(history: History) -> None:
    with pytest.raises(PlaygroundError, match="The history cannot keep this result"):
        history.add(entry(result(), settings(), [{"cpu_percent": float("nan")}]))


def test_the_command_line_lists_shows_and_deletes(empty_home: Path) -> None:
    assert "The history is empty." in playground("history", home=empty_home).stderr
    history = History()
    prompts = ["你好", "What is \x1b[31m red?"]
    for prompt in reversed(prompts):
        keep(history, prompt)
    rows = json.loads(playground("history", "--json", "list", home=empty_home).stdout)
    assert [(row["id"], row["prompt"]) for row in rows] == [
        (2, "你好"),
        (1, "What is \x1b[31m red?"),
    ]
    one = playground("history", "list", "--find", "red", "--limit", "1", home=empty_home).stdout
    assert "What is [31m red?" in one and "onnx-genai:CPU:int4 41.2 tok/s" in one
    shown = playground("history", "show", "2", home=empty_home).stdout
    assert "你好" in shown and "The capital of France is Paris." in shown
    assert "ok (stop) · 37 → 8 tokens · 41.2 tok/s · TTFT 35 ms" in shown
    assert playground("history", "delete", "1", home=empty_home).stdout == "1 is deleted.\n"
    refused = playground("history", "delete", "--all", home=empty_home)
    assert refused.returncode == 2 and "--yes" in refused.stderr and history.count() == 1
    assert playground("history", "delete", "--all", "--yes", home=empty_home).returncode == 0
    assert history.find() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "7"], "There is no 7 in the history."),
        (["delete", "7"], "There is no 7 in the history."),
        (["delete"], "Say what to delete."),
        (["delete", "7", "--all", "--yes"], "Say what to delete."),
        (["export", "1", "7"], "There is no 7 in the history."),
        (["export", "1", "--output", "no-such-folder/run.json"], "cannot be written"),
        (["export", "1", "--format", "xml"], "xml"),
        (["import", "no-such-file"], "cannot be read"),
        (["list", "--limit", "0"], "0 is less than 1."),
    ],
)
def test_a_wrong_call_gets_a_sentence(arguments: list[str], words: str, empty_home: Path) -> None:
    keep(History())
    run = playground("history", *arguments, home=empty_home)
    assert (run.returncode, run.stdout) == (2, "")
    assert words in run.stderr and "Traceback" not in run.stderr


def test_a_damaged_history_is_said_on_the_command_line(empty_home: Path) -> None:
    (empty_home / "history.sqlite").write_bytes(b"no database" * 1000)
    run = playground("history", home=empty_home)
    assert run.returncode == 0 and "The history was damaged. It is now" in run.stderr
