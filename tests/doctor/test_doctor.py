"""The report for bug reports: everything in it, and nothing that names its user."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from playground import doctor
from playground.doctor import machine, packages
from playground.doctor.scrub import Private, of_this_machine
from tests.support.command_line import playground

ROOT = Path(__file__).resolve().parents[2]
HEAVY = re.compile(r"torch|openvino|onnx|transformers|optimum|nncf|accelerate|numpy|.*\.pth$")
WINDOWS = Private(
    folders=((r"C:\Users\张三 Li\AppData\Local\aipc", "[data]"), (r"C:\Users\张三 Li", "~")),
    users=("张三 Li",),
    hosts=("LAPTOP-7Q",),
    secrets=("geheim/9",),
)
LINUX = Private(folders=(("/home/张三 li", "~"),), users=("张三 li",), hosts=("box",))


# --- the report of this machine ------------------------------------------------------------


def test_the_report_is_one_json_object_with_every_lane_and_package(tmp_path: Path) -> None:
    run = playground("doctor", "--json", home=tmp_path)
    report = json.loads(run.stdout)
    assert run.returncode == 0
    assert list(report) == (
        ["program", "machine", "hardware", "devices", "gauges", "lanes", "model", "packages"]
    )
    gauges = {row["gauge"]: row for row in report["gauges"]}
    assert list(gauges) == ["CPU", "Memory", "GPU", "NPU", "Power"]
    assert all(row["reading"] or row["note"] for row in report["gauges"])
    assert report["machine"]["memory_gb"] > report["machine"]["memory_free_gb"] > 0
    assert report["program"]["python"].startswith("3.")
    lanes = {row["lane"]: row for row in report["lanes"]}
    assert lanes["openvino-genai:CPU:int8"]["status"] == "needs-model"
    assert all(row["fix"] for row in report["lanes"] if row["status"] != "ready")
    assert "openvino-genai:CPU:int8" in report["model"]["missing_for"]
    here = {row["package"]: row[".venv"] for row in report["packages"]}
    assert here["openvino"] and here["torch"] and here["onnxruntime"]
    cpu = report["devices"][0]
    assert (cpu["engine"], cpu["device"], cpu["note"]) == ("OpenVINO", "CPU", "")


def test_the_report_is_markdown_to_paste_and_names_nobody(tmp_path: Path) -> None:
    run = playground("doctor", home=tmp_path)
    assert run.returncode == 0 and run.stdout.startswith("# Playground report\n\n## Program\n")
    assert re.fullmatch(r"Attach this .+\n", run.stderr)
    tables = [line for line in run.stdout.splitlines() if line and not line.startswith("#")]
    assert all(line == "None." or line.startswith("| ") for line in tables)
    assert "| OpenVINO | CPU | " in run.stdout and "| onnx-genai:DML:int4 | " in run.stdout
    for private in (getpass.getuser(), socket.gethostname(), str(Path.home()), str(tmp_path)):
        assert not re.search(rf"(?<!\w){re.escape(private)}(?!\w)", run.stdout, re.I)


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links take rights there")
def test_with_no_engine_installed_the_report_says_so(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for package in Path(pytest.__file__).parents[1].iterdir():
        if not HEAVY.match(package.name):
            (site / package.name).symlink_to(package, target_is_directory=package.is_dir())
    run = subprocess.run(
        [sys.executable, "-S", "-m", "playground", "doctor"],
        capture_output=True,
        encoding="utf-8",
        env={
            **os.environ,
            "AIPC_HOME": str(tmp_path / "data"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]),
            "PYTHONUTF8": "1",
        },
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    assert "OpenVINO is not installed." in run.stdout and "PyTorch is not installed." in run.stdout
    assert "| torch | n/a |" in run.stdout and "not-installed" in run.stdout


def test_a_part_that_fails_costs_only_itself(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OSError(f"no {empty_home / 'x'}")

    monkeypatch.setattr(machine, "machine", broken)
    report = doctor.report()
    assert report["machine"] == {"error": f"OSError: no [data]{os.sep}x"}
    assert report["lanes"] and "| Error | OSError: no" in doctor.markdown(report)


def test_versions_of_the_npu_library_s_environment_are_read_without_its_python(
    tmp_path: Path,
) -> None:
    (tmp_path / "requirements-npu.txt").write_text("# pins\ntransformers==4.47.1\n", "utf-8")
    info = tmp_path / ".venv-npu/lib/python3.11/site-packages/transformers-4.47.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: transformers\nVersion: 4.47.1\n", "utf-8")
    rows = {row["package"]: row for row in packages.versions(tmp_path)}
    assert rows["transformers"][".venv-npu"] == "4.47.1"
    assert rows["numpy"][".venv-npu"] is None


def test_the_commit_is_read_without_git(tmp_path: Path) -> None:
    assert machine.commit(tmp_path) is None
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n", "utf-8")
    (git / "packed-refs").write_text(f"# pack\n{'ab' * 20} refs/heads/main\n", "utf-8")
    assert machine.commit(tmp_path) == "abababababab"
    (git / "HEAD").write_text("cd" * 20, "utf-8")
    assert machine.commit(tmp_path) == "cdcdcdcdcdcd"


def test_a_cell_of_a_table_stays_one_cell() -> None:
    text = doctor.markdown({"lanes": [{"lane": "a|b\n<script> *x*", "ok": None, "many": []}]})
    assert text.endswith(r"| a\|b \<script> \*x\* | n/a | none |" + "\n")


# --- what is taken out ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (r"No C:\Users\张三 Li\x.gguf", r"No ~\x.gguf"),
        (r"c:\users\张三 LI", "~"),
        (r"'C:\\Users\\张三 Li\\models'", r"'~\\models'"),
        (r"C:\Users\张三 Li\AppData\Local\aipc\models", r"[data]\models"),
        ("file:///C%3A/Users/%E5%BC%A0%E4%B8%89%20Li/x", "file:///~/x"),
        ("C%3a%5cUsers%5c%e5%bc%a0%e4%b8%89+Li%5cx", "~%5cx"),
        (r"C:\Users\张三Li~1\x", r"~\x"),
        (r"D:\张三Li~1", r"D:\[user]"),
        (r"\\LAPTOP-7Q\share\张三 Li", r"\\[host]\share\[user]"),
        (r"D:\Users\Someone Else\x and D:\Data\x", r"~\x and D:\Data\x"),
        (repr("张三 Li") + ascii("张三 Li"), "'[user]''[user]'"),
        ("张三 Li的NPU", "[user]的NPU"),
        ("张三 Lisa", "张三 Lisa"),
        ("http://me:pass@proxy:80 and https://github.com/a/b", None),
        ("token hf_abcdefghijklmnop, geheim/9", "token [hidden], [hidden]"),
    ],
)
def test_what_names_a_windows_user_is_taken_out(text: str, left: str | None) -> None:
    wanted = "http://[hidden]@proxy:80 and https://github.com/a/b" if left is None else left
    assert WINDOWS.scrub({"reason": [text]}) == {"reason": [wanted]}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/张三 li/models/x", "~/models/x"),
        ("/home/张三%20li", "~"),
        (r"/home/张三\ li/x", "~/x"),
        ("/home/else/x", "~/x"),
        ("https://example.org/home/page/x", "https://example.org/home/page/x"),
        ("å¼\xa0ä¸‰ li owns the box, not the boxes", "[user] owns the [host], not the boxes"),
    ],
)
def test_what_names_a_linux_user_is_taken_out(text: str, left: str) -> None:
    assert LINUX.scrub(text) == left


NAMES = st.text(
    st.characters(codec="utf-8", categories=("Lu", "Ll", "Lo", "Nd"), include_characters=" .-_'"),
    min_size=1,
    max_size=20,
).filter(lambda name: name.strip(" .") == name)
PLACES = st.sampled_from(
    [
        "No {home}/models.",
        r"C:\Users\{name}\AppData\x",
        "'{name}'",
        "for {name}: denied",
        "({repr})",
        "file://{quoted}/x",
        "{upper}|{lower}",
        "owner={ascii}",
    ]
)


@given(name=NAMES, places=st.lists(PLACES, min_size=1))
@example(name="İ", places=["{lower}"])
@example(name="root", places=["for {name}: denied"])
def test_no_name_gets_through_in_any_place_or_spelling(name: str, places: list[str]) -> None:
    assume(name.lower() not in "[user] [host] no owner for denied file users appdata models x")
    home = f"/home/{name}"
    filled = [
        place.format(
            name=name,
            home=home,
            repr=repr(home),
            quoted=quote(home),
            upper=name.upper() if name.upper().lower() == name.lower() else name,
            lower=name.lower() if name.lower().upper() == name.upper() else name,
            ascii=ascii(name),
        )
        for place in places
    ]
    clean = Private(folders=((home, "~"),), users=(name,)).scrub({"a": filled, "b": 1})
    spellings = {name.lower(), quote(name).lower(), ascii(name)[1:-1].lower()}
    for text in clean["a"]:
        for spelling in spellings:
            assert spelling not in text.lower().replace("users", "").replace("[user]", "")
    assert clean["b"] == 1


def test_this_machine_s_user_host_and_secrets_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "张三 Li"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "张三 Li"))
    monkeypatch.setenv("USERNAME", "zhang.san")
    monkeypatch.setenv("HTTPS_PROXY", "http://zs:Gh7-k!@proxy:3128")
    monkeypatch.setenv("HF_TOKEN", "plain-secret")
    private = of_this_machine(tmp_path / "data", ROOT)
    text = f"{tmp_path / '张三 Li' / 'x'}, zhang.san, {socket.gethostname()}, Gh7-k!, "
    text += f"plain-secret, {ROOT / 'app.py'}, {tmp_path / 'data'}"
    left = f"~{os.sep}x, [user], [host], [hidden], [hidden], [program]{os.sep}app.py, [data]"
    assert private.scrub(text) == left
