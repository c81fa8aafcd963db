"""The command line as a person calls it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from playground import cli
from playground.cli import COMMANDS
from playground.models import DEFAULT_MODEL
from tests.support.command_line import FAST, PATH, interruptible, playground, processes_of

ARGUMENTS = [[name] for name in COMMANDS] + [
    ["history", name] for name in ("list", "show", "delete", "export", "import")
]


def test_lanes_lists_every_lane_with_reason_and_fix(tmp_path: Path) -> None:
    run = playground("lanes", "--json", home=tmp_path)
    rows = {row["lane"]: row for row in json.loads(run.stdout)}
    assert run.returncode == 0
    assert list(next(iter(rows.values()))) == (
        ["lane", "backend", "device", "precision", "model", "status", "reason", "fix", "model_path"]
    )
    assert rows["fake:CPU:30tps"]["status"] == "ready"
    for lane in ("openvino-genai:CPU:int8", "onnx-genai:CPU:int4", "pytorch:CPU:fp32"):
        assert rows[lane]["status"] == "needs-model"
        assert rows[lane]["reason"] and rows[lane]["fix"]
        assert str(tmp_path) in rows[lane]["model_path"]


def test_lanes_is_readable_in_a_pipe(tmp_path: Path) -> None:
    run = playground("lanes", home=tmp_path)
    assert run.returncode == 0
    assert "openvino-optimum:CPU:int8" in run.stdout


def test_ask_prints_the_answers_and_says_ok(tmp_path: Path) -> None:
    run = playground(
        "ask", "你好", "--lanes", f"fake:CPU:400tps,{FAST}", "--max-new-tokens", "40", home=tmp_path
    )
    assert run.returncode == 0
    assert run.stdout.count("This answer is **replayed**") == 2
    assert "ok (length) · 40 tokens" in run.stdout


def test_ask_reads_a_prompt_from_standard_input(tmp_path: Path) -> None:
    run = playground("ask", "-", "--lanes", FAST, "--json", home=tmp_path, stdin="你好")
    assert json.loads(run.stdout)["prompt_tokens"] == 6


def test_an_answer_in_a_pipe_has_only_its_own_line_breaks(tmp_path: Path) -> None:
    run = playground("ask", "Hi", "--lanes", FAST, "--max-new-tokens", "240", home=tmp_path)
    assert "so that everything behind an engine can be tried without one" in run.stdout


def test_ask_json_prints_one_object(tmp_path: Path) -> None:
    run = playground(
        "ask", "Hi", "--lanes", FAST, "--max-new-tokens", "500", "--json", home=tmp_path
    )
    result = json.loads(run.stdout)
    assert (result["mode"], result["model"], result["prompt_tokens"]) == ("together", "none", 2)
    assert "你好" in result["lanes"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", ""], "The prompt is empty."),
        (["ask", "Hi", "--lanes", "foke"], "There is no lane “foke”."),
        (["ask", "Hi", "--lanes", "fake:NPU"], "There is no lane"),
        (["ask", "Hi", "--lanes", "fake", "--max-new-tokens", "0"], "cannot be 0"),
        (["ask", "Hi", "--lanes", "fake", "--max-new-tokens", "-1"], "cannot be -1"),
        (
            ["ask", "Hi", "--lanes", "fake", "--max-new-tokens", "1000000000"],
            "cannot be 1000000000",
        ),
        (["ask", "Hi", "--lanes", "fake", "--temperature", "9"], "temperature"),
        # three tokens a character: a Windows command line holds 32,767 of those
        (["ask", "好" * 13_334, "--lanes", "fake"], "40,002 tokens"),
        (["ask", "Hi", "--model", "no-such-model"], "no-such-model"),
        (["ask"], "Missing argument 'PROMPT'."),
        (["ask", "Hi", "there"], "Got unexpected extra argument (there)."),
        (["ask", "Hi", "--fource"], "No such option '--fource'. Did you mean '--force'?"),
        (["ask", "Hi", "--lanes"], "See `python -m playground ask --help`."),
        (["ask", "Hi", "--mode", "twice"], "There is no mode “twice”."),
        (["ask", "Hi", "--max-new-tokens", "x"], "'x' is not a valid integer."),
        (["sing"], "No such command 'sing'."),
        ([], "Missing command."),
    ],
)
def test_a_wrong_call_gets_a_sentence_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    run = playground(*arguments, home=tmp_path)
    assert run.returncode == 2
    assert words in run.stderr
    assert len(run.stderr.splitlines()) <= 2
    assert run.stdout == ""


@pytest.mark.parametrize("arguments", [[], *ARGUMENTS], ids=" ".join)
def test_help_fits_a_terminal_of_80_columns_and_is_plain(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    empty_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([*arguments, "--help"]) == 0
    text, errors = capsys.readouterr()
    usage = " ".join(["Usage: python -m playground", *arguments, "["])
    assert text.startswith(usage) and errors == ""
    assert text.isascii() and max(map(len, text.splitlines())) <= 80
    assert "completion" not in text
    assert list(empty_home.iterdir()) == []  # help needs no data folder


def test_help_describes_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["ask", "--help"])  # with click 8.5, typer 0.25 would say "[required]" alone
    assert "PROMPT  The prompt; - reads it from stdin.  [required]" in capsys.readouterr().out


def test_help_gives_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["ask", "--help"])
    text = capsys.readouterr().out
    assert f"[default: {DEFAULT_MODEL}]" in text
    assert "[default: 256]" in text and "[default: together]" in text
    cli.main(["bench", "--help"])
    assert "[default: 32,256,512,1024]" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_no_engine_and_no_command(arguments: list[str]) -> None:
    code = (
        f"import sys; from playground import cli; code = cli.main({arguments}); "
        "heavy = {'rich', 'psutil', 'gradio', 'playground.arena', 'playground.models'}; "
        "sys.exit(code or ' '.join(heavy & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    assert run.stdout


def test_a_prompt_may_begin_with_a_dash(tmp_path: Path) -> None:
    short = ("--lanes", FAST, "--max-new-tokens", "5", "--json")
    run = playground("ask", "- one\n- two", "--system", "- be brief", *short, home=tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["prompt_tokens"] == len("- be brief\n- one\n- two\n")


def test_a_lane_whose_model_cannot_be_had_is_unavailable_and_the_others_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    run = playground("ask", "Hi", "--lanes", f"pytorch,{FAST}", "--json", home=tmp_path)
    lanes = json.loads(run.stdout)["lanes"]
    assert run.returncode == 1
    assert [lane["status"] for lane in lanes] == ["unavailable", "ok"]
    assert lanes[0]["error"]["message"] and lanes[0]["error"]["fix"]
    assert "Traceback" not in run.stderr


def test_a_broken_model_folder_gets_a_sentence(
    tmp_path: Path, prepared: Callable[[str, str], Path]
) -> None:
    broken = tmp_path / "broken model"
    broken.mkdir()
    (broken / "config.json").write_text("{", encoding="utf-8")
    run = playground(
        "ask", "Hi", "--lanes", "pytorch", "--model", str(broken), home=tmp_path / "home"
    )
    assert run.returncode in (1, 2)
    assert str(broken) in run.stderr + run.stdout
    assert "Traceback" not in run.stderr


def test_a_data_folder_that_cannot_be_used_gets_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    run = playground("lanes", home=file)
    assert run.returncode == 2
    assert f"The data folder {file} cannot be used" in run.stderr and "AIPC_HOME" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_ends_it_quietly_and_leaves_no_worker(tmp_path: Path) -> None:
    child = subprocess.Popen(
        interruptible("-m", "playground", "ask", "Hi", "--lanes", "fake:CPU:5tps"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "AIPC_HOME": str(tmp_path), "PYTHONPATH": PATH},
    )
    log = tmp_path / "logs" / "worker-fake-CPU-5tps.log"
    end = time.monotonic() + 20
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "Traceback" not in stderr
    assert processes_of(tmp_path) == []
