"""`python -m playground bench` as a person calls it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from playground.bench.results import recompute
from playground.runs.benchmark_record import BenchmarkRecord
from tests.support.command_line import PATH, interruptible, playground, processes_of

pytestmark = pytest.mark.engine

FAST, SLOW = "fake:CPU:5000tps", "fake:CPU:40tps"
SMALL = ["--prompt-tokens", "8", "--new-tokens", "20", "--runs", "2"]


def test_it_prints_a_table_and_writes_a_result_that_can_be_computed_again(tmp_path: Path) -> None:
    file = tmp_path / "figures of 今天.json"
    run = playground("bench", "--lanes", FAST, *SMALL, "--json", str(file), home=tmp_path / "home")
    assert run.returncode == 0, run.stderr
    line = next(line for line in run.stdout.splitlines() if line.startswith(FAST))
    assert line.split()[1] == "8" and "n/a" in line
    assert "Medians of 2 runs of 20 tokens, in-turn." in run.stdout
    assert "run 1 of 3" in run.stderr and "run 3 of 3" in run.stderr and "s left" in run.stderr
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["settings"] == {
        "lanes": [FAST],
        "model": "none",
        "prompt_tokens": [8],
        "new_tokens": 20,
        "runs": 2,
        "warmup": 1,
        "mode": "in-turn",
        "temperature": 0.0,
        "ignore_eos": True,
    }
    (row,) = result["results"]
    median = recompute(BenchmarkRecord.model_validate(row)).median
    assert median.decode_tps == row["decode_tps"] > 0
    assert result["machine"]["memory_copy"]["copy_gbs"] > 0.1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [file.name]


def test_json_on_standard_output_is_all_that_is_there(tmp_path: Path) -> None:
    run = playground("bench", "--lanes", FAST, *SMALL, "--json", "-", home=tmp_path)
    assert run.returncode == 0
    assert len(json.loads(run.stdout)["results"][0]["runs"]) == 2
    assert "Medians of 2 runs" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runs", "0"], "The number of runs cannot be 0."),
        (["--warmup", "-1"], "cannot be -1"),
        (["--new-tokens", "0"], "cannot be 0"),
        (["--prompt-tokens", "8,many"], "is not a list of whole numbers."),
        (["--prompt-tokens", "8,40000"], "the model's context is 32,768"),
        (["--lanes", "foke"], "There is no lane “foke”."),
        (["--lanes", "fake,pytorch"], "their prompts would differ"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--json", "no such folder/file.json"], "cannot be written"),
        (["--json", "."], "is a folder"),
    ],
)
def test_a_wrong_call_gets_a_sentence_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    run = playground("bench", "--lanes", FAST, *arguments, home=tmp_path)
    assert run.returncode == 2
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_a_wrong_call_leaves_an_old_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text("old", encoding="utf-8")
    run = playground("bench", "--lanes", "fake", "--runs", "0", "--json", str(file), home=tmp_path)
    assert run.returncode == 2
    assert file.read_text(encoding="utf-8") == "old"


def begin(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, under way."""
    return subprocess.Popen(
        interruptible("-m", "playground", "bench", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "AIPC_HOME": str(home), "PYTHONPATH": PATH},
    )


def wait_for_line(child: subprocess.Popen[str], words: str) -> None:
    assert child.stderr is not None
    assert any(words in line for line in child.stderr), "it ended before"


def worker_of(home: Path, lane: str) -> psutil.Process:
    """The process that serves the lane: it writes the lane's log."""
    log = f"worker-{lane.replace(':', '-')}.log"
    return next(
        process
        for process in processes_of(home)
        if "playground.workers.worker" in process.cmdline()
        and log in {Path(file.path).name for file in process.open_files()}
    )


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_keeps_and_prints_what_is_finished(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "file.json"
    child = begin(home, "--lanes", SLOW, *SMALL[:4], "--runs", "50", "--json", str(file))
    wait_for_line(child, "run 4 of 51")
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "Interrupted." in stderr and "Traceback" not in stderr
    assert SLOW in stdout and "stopped: " in stdout
    (row,) = json.loads(file.read_text(encoding="utf-8"))["results"]
    assert row["status"] == "stopped" and 2 <= len(row["runs"]) < 50
    assert row["decode_tps"] > 0
    assert processes_of(home) == []


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_before_anything_is_measured_leaves_an_old_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text("old", encoding="utf-8")
    child = begin(tmp_path, "--lanes", SLOW, "--json", str(file))
    wait_for_line(child, "copy bandwidth")
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "before anything was measured" in stderr and "Traceback" not in stderr
    assert file.read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(os.name == "nt", reason="finds the worker by the files that it has open")
def test_a_lane_that_is_killed_midway_costs_its_row_and_exit_code_1(tmp_path: Path) -> None:
    child = begin(tmp_path, "--lanes", f"{FAST},{SLOW}", *SMALL)
    wait_for_line(child, f"run 2 of 6 · {SLOW}")
    worker_of(tmp_path, SLOW).kill()
    stdout, _ = child.communicate(timeout=30)
    assert child.returncode == 1
    rows = {line.split()[0]: line for line in stdout.splitlines() if line.startswith("fake:")}
    assert "error: The engine's process ended unexpectedly" in " ".join(stdout.split())
    assert "n/a" in rows[SLOW].split()[2] and float(rows[FAST].split()[3]) > 0
