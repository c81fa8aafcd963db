"""`prepare`, `models` and `remove` as a person calls them: in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from playground import models
from playground.models.folders import Manifest
from tests.support.command_line import playground
from tests.support.preparations import (
    SMALL,
    XML,
    PrepareCommand,
    stub_converter,
    user_model,
    wait_until,
)

LANE = "openvino-genai:CPU:fp16"


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stub_converter(tmp_path / "library", monkeypatch)


def prepared_folder(home: Path, name: str, size: int) -> Path:
    """A folder as a preparation leaves it."""
    folder = home / "models" / models.DEFAULT_MODEL / name
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(size))
    file_format, _, precision = name.partition("-")
    Manifest(
        model=models.DEFAULT_MODEL,
        format=file_format,
        precision=precision,
        recipe="int4 sym",
        weight_bytes=0,
        read_bytes=0,
        source="",
        versions={},
        files={"weights": size},
    ).write(folder)
    return folder


def test_prepare_says_what_it_takes_and_then_what_it_made(
    tmp_path: Path, empty_home: Path, converter: Path
) -> None:
    (converter / "go").touch()
    model = user_model(tmp_path / "my [model]")
    command = PrepareCommand(model, f"fake,pytorch,{LANE}", tmp_path / "said")
    assert command.process.wait(200) == 0
    first, *lines = command.output.splitlines()
    assert first.startswith("Fetches nothing; needs 51 MB of disk, ")
    assert lines == [
        "  convert to OpenVINO fp16 here",
        f"pytorch:CPU:fp32: ready in {model} (fp32)",
        f"{LANE}: convert · OpenVINO fp16",
        f"{LANE}: ready in {models.lane_folder(model, 'openvino', 'fp16')} (fp16, converted here)",
    ]


def test_prepare_tries_every_lane(tmp_path: Path, empty_home: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in {**SMALL, "openvino_model.xml": XML.encode()}.items():
        (folder / name).write_bytes(data)
    (folder / "openvino_model.bin").write_bytes(bytes(8192))
    command = PrepareCommand(folder, f"onnx-genai,{LANE}", tmp_path / "said")
    assert command.process.wait(200) == 1
    assert "onnx-genai:CPU:int4: mine is a folder in OpenVINO format" in command.output
    assert f"{LANE}: ready in {folder} (fp16)" in command.output
    command = PrepareCommand(folder, LANE, tmp_path / "said")
    assert command.process.wait(200) == 0
    assert command.output.startswith("Nothing is missing.")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_leaves_nothing_half_made_and_no_process(
    tmp_path: Path, empty_home: Path, converter: Path
) -> None:
    command = PrepareCommand(user_model(tmp_path / "mine"), f"{LANE},pytorch", tmp_path / "said")
    wait_until((converter / "calls").exists)
    children = psutil.Process(command.process.pid).children(recursive=True)
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(60) == 130
    assert "no incomplete files are left. Start it again to continue" in command.output
    assert "ready in" not in command.output and "Traceback" not in command.output
    assert children and not psutil.wait_procs(children, timeout=10)[1]
    left = [path for path in (empty_home / "models").rglob("*") if path.suffix != ".lock"]
    assert left == [left[0]]  # the model's folder


@pytest.mark.skipif(os.name == "nt", reason="has no pseudo-terminals in the standard library")
def test_a_terminal_shows_a_live_line(tmp_path: Path, empty_home: Path, converter: Path) -> None:
    model = user_model(tmp_path / "mine")
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "playground", "prepare", "--model", model, "--lanes", LANE],
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a pseudo-terminal ends
        while new := os.read(ours, 65536):
            shown += new
            if shown.count("convert · OpenVINO fp16".encode()) > 3:
                (converter / "go").touch()
    os.close(ours)
    assert process.wait(60) == 0
    assert b"0:00:0" in shown and shown.count(b"ready in") == 1


def test_models_lists_what_is_there_and_remove_frees_it(tmp_path: Path) -> None:
    sizes = {"onnx-int4": 2_000_000, "openvino-int8": 3_000_000}
    folders = [prepared_folder(tmp_path, name, size) for name, size in sizes.items()]
    (folders[0].parent / ".onnx-int8.part").mkdir()
    (folders[0].parent / ".onnx-int8.part" / "half").write_bytes(bytes(4_000_000))
    listed = playground("models", home=tmp_path)
    assert listed.returncode == 0
    assert "9 MB in" in listed.stdout and "not prepared" in listed.stdout
    for size, what in {
        "2 MB": "onnx int4",
        "3 MB": "openvino int8",
        "4 MB": "not finished",
    }.items():
        assert any(size in line and what in line for line in listed.stdout.splitlines())
    first, second, *_ = json.loads(playground("models", "--json", home=tmp_path).stdout)
    assert list(first) == ["model", "title", "parts", "bytes"]
    assert first["parts"][0] == {
        "format": "onnx",
        "precision": "int4",
        "recipe": "int4 sym",
        "bytes": 2_000_000,
        "folder": str(folders[0]),
        "elsewhere": False,
    }
    assert second == {"model": second["title"], "title": second["title"], "parts": [], "bytes": 0}

    removed = playground("remove", models.DEFAULT_MODEL.lower(), home=tmp_path)
    assert removed.stdout == f"{models.DEFAULT_MODEL} is removed: 9 MB freed.\n"
    assert not any(folder.exists() for folder in folders)
    assert "is removed: 0 bytes" in playground("remove", models.DEFAULT_MODEL, home=tmp_path).stdout


def test_remove_of_a_model_that_nobody_knows_is_a_wrong_call(tmp_path: Path) -> None:
    run = playground("remove", "no such model", home=tmp_path)
    assert run.returncode == 2
    assert "There is no model “no such model”." in run.stderr
