"""How children are started and ended, whatever they do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from playground.bench import memory_bandwidth
from playground.devices import probing
from playground.errors import PreparationError
from playground.models import children
from playground.models.children import Workspace
from playground.models.hub import client as hub
from playground.models.hub.files import ALL, Remote
from playground.paths import ROOT
from playground.workers import subprocesses
from playground.workers.process import Worker

SLEEP = "import time; time.sleep(600)"
WITH_CHILD = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}]).pid, flush=True)
{SLEEP}
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_every_child_finds_the_project_and_reports_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments: list[dict[str, str]] = []
    popen = subprocess.Popen

    def spy(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        environments.append(options["env"])  # type: ignore[arg-type]
        return popen(*arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", spy)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    worker = Worker("tests.support.misbehaving:Steady", tmp_path / "log.txt")
    load = {"model": "", "device": "CPU", "precision": "", "capacity": 256, "warm_up": [1]}
    list(worker.ask("load", **load))
    worker.close()
    assert memory_bandwidth.measure()
    assert probing.ask(probing.DeviceQuery("Python", python("print('{\"done\": 1}')"))).lines
    assert children.run(["this"], Workspace(tmp_path, tmp_path / "this.log")).code == 0
    with pytest.raises(PreparationError, match="HF_HUB_OFFLINE"):
        workspace = Workspace(tmp_path, tmp_path / "hub.log")
        hub.plan(Remote("makers/none"), ALL, workspace)
    assert len(environments) == 5
    for environ in environments:
        assert str(ROOT) in environ["PYTHONPATH"]
        assert environ["PYTHONUTF8"] == "1"
        for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
            assert environ[name] == "1"


def test_a_child_is_killed_at_its_time_limit_and_what_it_wrote_is_kept() -> None:
    start = time.monotonic()
    output = subprocesses.run(python(f"print('early', flush=True); {SLEEP}"), 1.0)
    assert (output.code, output.stdout.split()) == (None, [b"early"])
    assert time.monotonic() - start < 5


def test_a_child_is_ended_with_all_that_it_started() -> None:
    process = subprocesses.start(python(WITH_CHILD))
    assert process.stdout and process.stderr
    grandchild = int(process.stdout.readline())
    subprocesses.end(process)
    assert process.returncode
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie"
    process.stdout.close()
    process.stderr.close()


def test_a_child_may_end_by_itself_before_it_is_killed() -> None:
    process = subprocesses.start(python("import sys; sys.stdin.read()"), stdin=subprocess.PIPE)
    assert process.stdin and process.stdout and process.stderr
    process.stdin.close()
    subprocesses.end(process, 10)
    assert process.returncode == 0
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize(
    ("line", "value"),
    [(b'{"a": 1}\n', {"a": 1}), ('{"a"', None), ("[1]", None), (b"\xff", None), ("", None)],
)
def test_only_json_objects_are_messages(line: str | bytes, value: object) -> None:
    assert subprocesses.json_object(line) == value
