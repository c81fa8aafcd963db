"""For tests of preparations in other processes: a local model, a stub converter that waits until it
may finish, and `python -m playground prepare`."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from playground import models
from playground.workers import subprocesses
from tests.support.command_line import interruptible

XML = (
    '<net><layers><layer name="w" type="Const"><data element_type="f16" shape="64, 64" '
    'offset="0" size="8192"/></layer></layers></net>'
)
SMALL = {"config.json": b'{"hidden_size": 64}', "tokenizer.json": b"{}"}
HEADER = b'{"w": {"dtype": "F32", "shape": [1000, 100], "data_offsets": [0, 400000]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(400_000)
MODEL = {**SMALL, "model.safetensors": WEIGHTS}
STUB_CONVERTER = f"""
import sys, time
from pathlib import Path
here, folder = Path(__file__).parent, Path(sys.argv[-1])
folder.mkdir()
(folder / "openvino_model.xml").write_text({XML!r})
with open(here / "calls", "a") as file:
    file.write("x")
while not (here / "go").exists():
    time.sleep(0.05)
(folder / "openvino_model.bin").write_bytes(bytes(8192))
"""


def stub_converter(library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a stub in place of OpenVINO's converter, for every process: it counts its calls in
    `calls` and ends when there is a file `go`. Returns its folder."""
    folder = library / "optimum" / "commands"
    folder.mkdir(parents=True)
    for parent in (folder, folder.parent):
        (parent / "__init__.py").touch()
    (folder / "optimum_cli.py").write_text(STUB_CONVERTER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(library), prepend=os.pathsep)
    return folder


def user_model(folder: Path) -> str:
    """Create a Hugging Face folder and return its canonical name."""
    folder.mkdir()
    for name, data in MODEL.items():
        (folder / name).write_bytes(data)
    return models.check(str(folder))


class PrepareCommand:
    """A running `python -m playground prepare`; `output` is its stderr."""

    def __init__(self, model: Path | str, lanes: str, log: Path) -> None:
        self._log = log
        command = ("-m", "playground", "prepare", "--model", str(model), "--lanes", lanes)
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                interruptible(*command),
                stderr=stderr,
                env=subprocesses.environment(),
                cwd=log.parent,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")


def wait_until(condition: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
