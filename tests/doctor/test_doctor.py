"""The report for bug reports: it is complete, and nothing in it is private."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from playground import devices, doctor
from playground.devices.sysfs import kernel_version
from playground.doctor import machine, packages
from tests.support.command_line import playground

ROOT = Path(__file__).resolve().parents[2]
HEAVY = re.compile(r"torch|openvino|onnx|transformers|optimum|nncf|accelerate|numpy|.*\.pth$")


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


# --- nothing private -----------------------------------------------------------------------

NAME, HOST, TOKEN = "zhang.san", "LAPTOP-7Q", "hf_abcdefghijklmnop"
PRIVATE = (NAME, "张三", HOST, TOKEN, "Gh7-k!", "zs@example.org", "S/N", "AppData")
MESSAGE = (
    'Cannot load library "C:\\Users\\张三 Li\\AppData\\openvino_intel_gpu_plugin.dll": 126 from: '
    f"/home/{NAME}/x: libOpenCL.so.1: cannot open; ZE_RESULT_ERROR_UNINITIALIZED on {HOST} S/N 1"
)


def test_no_section_holds_what_is_private_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / f"张三 Li/{NAME}/AppData"
    for variable, value in {
        "HOME": str(data.parent),
        "USERPROFILE": str(data.parent),
        "USERNAME": NAME,
        "USER": NAME,
        "HOSTNAME": HOST,
        "HTTPS_PROXY": "http://zs%40example.org:Gh7-k!@proxy:3128",
        "HF_TOKEN": TOKEN,
        "EMAIL": "zs@example.org",
        "AIPC_HOME": str(data),
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    if sys.platform != "win32":
        kernel = os.uname_result(("Linux", HOST, f"6.11.0-{NAME}", f"by {NAME}@{HOST}", "x86_64"))
        monkeypatch.setattr(os, "uname", lambda: kernel)
    plugins = {f"openvino:{plugin}": MESSAGE for plugin in ("CPU", "GPU", "NPU")}
    monkeypatch.setattr(devices, "discover", lambda: devices.Discovery(details=plugins))
    monkeypatch.setattr(packages, "versions", lambda root: (data / NAME).read_text("utf-8"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: 1 / 0)
    report = doctor.report()
    text = json.dumps(report, ensure_ascii=False) + doctor.markdown(report)
    assert not [secret for secret in PRIVATE if secret.casefold() in text.casefold()]
    assert str(Path.home()) not in text and str(ROOT) not in text
    assert report["packages"] == {
        "error": "This could not be read: FileNotFoundError (ENOENT). The log has the details."
    }
    assert "ZeroDivisionError." in str(report["model"])


def test_an_engine_s_message_is_reported_by_its_known_terms_only() -> None:
    discovery = devices.Discovery(
        errors={"openvino:GPU": "OpenVINO's GPU plugin failed."}, details={"openvino:GPU": MESSAGE}
    )
    (note,) = [row.note for row in doctor.device_rows(discovery) if row.device == "GPU"]
    assert note == (
        "OpenVINO's GPU plugin failed. "
        "Its message names: 126, libOpenCL.so.1, ZE_RESULT_ERROR_UNINITIALIZED."
    )


@pytest.mark.parametrize(
    ("release", "reported"),
    [
        ("6.11.0-29-generic", "6.11.0-29-generic"),
        ("6.11.4-301.fc41.x86_64", "6.11.4-301.fc41.x86_64"),
        ("5.15.153.1-microsoft-standard-WSL2", "5.15.153.1-microsoft-standard-WSL2"),
        ("6.12.1-arch1-1", "6.12.1-arch1-1"),
        ("6.11.0-anna-laptop+", "6.11.0"),
        ("6.11.0anna-1", "6.11.0-1"),
        ("anna", ""),
    ],
)
def test_a_kernel_s_release_is_reported_without_its_builder_s_suffix(
    release: str, reported: str
) -> None:
    assert kernel_version(release) == reported


@pytest.mark.parametrize(
    ("version", "reported"),
    [
        ("2026.4.1.0", "2026.4.1.0"),
        ("2.13.0+cpu", "2.13.0+cpu"),
        ("2.13.0.dev20261101+cu128", "2.13.0.dev20261101+cu128"),
        ("3.0rc1.post2", "3.0rc1.post2"),
        ("1.0+anna.laptop", "1.0"),
        ("anna", "a version of its own"),
    ],
)
def test_a_package_s_version_is_reported_without_a_suffix_of_one_s_own(
    version: str, reported: str
) -> None:
    assert packages.public(version) == reported


def test_a_checkout_is_reported_by_its_commit_only(tmp_path: Path) -> None:
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text(f"ref: refs/heads/{NAME}\n", "utf-8")
    assert machine.commit(tmp_path) is None
    (tmp_path / ".git/refs/heads" / NAME).write_text(f"{'ab' * 20}\n", "utf-8")
    assert machine.commit(tmp_path) == "abababababab"
    (tmp_path / ".git/HEAD").write_text(NAME, "utf-8")
    assert machine.commit(tmp_path) is None
