"""`run.py` and `setup/`: what is installed, when, from where, and what is said if it cannot be.

test_npu_library.py tries what is installed in `.venv-npu`."""

from __future__ import annotations

import ast
import importlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import app
import run as project_run
from playground.paths import ROOT
from playground.workers import npu_environment
from tests.support.command_line import interruptible

PYTHONS = ("3.11", "3.12", "3.13")
READ_BY_ANY = ("run.py", "setup/environment.py")  # before the version is looked at


class Commands:
    """Stands in for commands: records them, fails those with a word in `failing`.

    saying: the output of a captured command, by a word of it.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing: list[str] = []
        self.saying: dict[str, str] = {}

    def call(self, command: list[str], **_: object) -> int:
        line = " ".join([Path(command[0]).stem, *command[1:]])
        self.seen.append(line)
        return int(any(word in line for word in self.failing))

    def run(self, command: list[str], **_: object) -> SimpleNamespace:
        code = self.call(command)
        output = [text for word, text in self.saying.items() if word in self.seen[-1]]
        return SimpleNamespace(returncode=code, stdout="".join(output))

    def with_word(self, word: str) -> list[str]:
        return [line for line in self.seen if word in line]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of run.py with small requirement files and an app that prints its arguments."""
    for name in (*READ_BY_ANY, "setup/__init__.py", "setup/npu.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n", encoding="utf-8")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\n", encoding="utf-8")
    (tmp_path / "requirements-npu.txt").write_text("torch==2.12.1\n", encoding="utf-8")
    (tmp_path / "overrides.txt").write_text("", encoding="utf-8")
    (tmp_path / "app.py").write_text("import sys; print(sys.argv[1:])", encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """That copy as a module, beside a real `.venv` with nothing in it but uv's name."""
    venv.create(project / ".venv", symlinks=os.name != "nt")
    monkeypatch.syspath_prepend(project)
    monkeypatch.setattr(npu_environment, "ROOT", project)
    for name in ("run", "setup", "setup.environment", "setup.npu"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("run")
    module.VENV.uv.touch()
    return module


@pytest.fixture
def commands(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """From here on nothing is run for real, on a Linux machine without an NVIDIA GPU."""
    recorder = Commands()
    monkeypatch.setattr(subprocess, "call", recorder.call)
    monkeypatch.setattr(subprocess, "run", recorder.run)
    monkeypatch.setattr("setup.environment.needs_cpu_torch", lambda: True)
    return recorder


def mark_installed(run: ModuleType, requirements: str = "requirements.txt") -> None:
    run.stamp(requirements).write_bytes(run.fingerprint(requirements))


def call(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)


# --- before anything is installed ----------------------------------------------------------


@pytest.mark.parametrize(("version", "age"), [((3, 6), "old"), ((3, 10), "old"), ((3, 14), "new")])
def test_another_python_gets_a_sentence_and_exit_code_2(
    project: Path, version: tuple[int, int], age: str
) -> None:
    pretend = (
        f"import runpy, sys; sys.version_info = ({version[0]}, {version[1]}, 1);"
        f"runpy.run_path({str(project / 'run.py')!r}, run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", pretend], capture_output=True, encoding="utf-8")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Python 3.{version[1]} is too {age}; ")
    assert len(ended.stderr.splitlines()) == 1
    assert not (project / ".venv").exists()


def test_the_sentence_names_a_fitting_python_only_if_it_works(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "works", lambda command: "3.12" in " ".join(command))
    assert "3.12 run.py" in run.version_problem((3, 9))
    monkeypatch.setattr(run, "works", lambda command: False)
    assert run.version_problem((3, 9)) == (
        "Python 3.9 is too old; install Python 3.11, 3.12 or 3.13 from python.org and use that"
    )


@pytest.mark.parametrize("name", READ_BY_ANY)
def test_python_3_6_can_read_it(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source  # 3.7


def test_help_explains_and_sets_nothing_up(project: Path) -> None:
    ended = call(project, "--help")
    assert ended.returncode == 0
    assert all(word in ended.stdout for word in ("setup npu", "test", "--port", "--no-browser"))
    assert not (project / ".venv").exists()


def test_help_says_of_the_options_what_the_playground_itself_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert app.main(["--help"]) == 0
    _, options = capsys.readouterr().out.split("\nOptions:\n")
    assert project_run.HELP.endswith(f"\nOptions:\n{options.rstrip()}")
    assert max(map(len, project_run.HELP.splitlines())) <= 80


def test_setting_up_what_is_not_known_explains_what_is(project: Path) -> None:
    ended = call(project, "setup", "gpu")
    assert ended.returncode == 2
    assert "python run.py setup npu" in ended.stderr
    assert not (project / ".venv").exists()


def test_a_python_without_ensurepip_is_told_the_package(
    run: ModuleType, commands: Commands
) -> None:
    shutil.rmtree(run.VENV.folder)
    commands.failing = ["import ensurepip"]
    with pytest.raises(SystemExit, match=r"sudo apt install python3\.\d+-venv"):
        run.set_up("requirements.txt")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal for one process group")
def test_ctrl_c_while_setting_up_ends_it_without_a_traceback(project: Path) -> None:
    with subprocess.Popen(
        interruptible(str(project / "run.py"), "setup"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as child:
        assert child.stdout
        output = child.stdout.readline()
        os.killpg(child.pid, signal.SIGINT)
        output += child.stdout.read()
    assert child.returncode == 130
    assert "Creating the environment" in output and output.endswith("Stopped.\n")
    assert "Traceback" not in output


# --- the environment is kept while nothing changes -----------------------------------------


def test_an_unchanged_environment_runs_no_command(run: ModuleType, commands: Commands) -> None:
    mark_installed(run)
    assert run.set_up("requirements.txt") is False
    assert commands.seen == []


@pytest.mark.parametrize("name", ["requirements.txt", "overrides.txt"])
def test_a_changed_file_is_installed_once(run: ModuleType, commands: Commands, name: str) -> None:
    mark_installed(run)
    with (run.ROOT / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert run.set_up("requirements.txt") is True
    assert len(commands.with_word("-r")) == 1
    assert run.set_up("requirements.txt") is False


def test_the_tests_environment_serves_the_app_and_not_the_other_way(
    run: ModuleType, commands: Commands
) -> None:
    assert run.set_up("requirements.txt") is True
    assert run.set_up("requirements-dev.txt") is True
    assert run.set_up("requirements.txt") is False


def test_a_venv_of_another_python_or_without_pip_is_made_anew(
    run: ModuleType, commands: Commands
) -> None:
    mark_installed(run)
    settings = run.VENV.folder / "pyvenv.cfg"
    mine = settings.read_text(encoding="utf-8")
    settings.write_text("version = 3.9.1\n", encoding="utf-8")
    with pytest.raises(OSError):  # the pretended venv command makes no folder for the stamp
        run.set_up("requirements.txt")
    assert commands.with_word("-m venv")
    run.VENV.scripts.mkdir(parents=True)
    run.VENV.python.touch()
    settings.write_text(mine, encoding="utf-8")
    commands.seen, commands.failing = [], ["pip --version"]
    with pytest.raises(OSError):
        run.set_up("requirements.txt")
    assert commands.with_word("-m venv")


def test_an_installation_that_failed_is_tried_again(run: ModuleType, commands: Commands) -> None:
    commands.failing = ["-r"]
    with pytest.raises(SystemExit, match="Installing failed"):
        run.set_up("requirements.txt")
    commands.failing = []
    assert run.set_up("requirements.txt") is True


def test_engines_that_cannot_be_imported_are_not_called_installed(
    run: ModuleType, commands: Commands
) -> None:
    commands.failing = ["import OVModelForCausalLM"]
    with pytest.raises(SystemExit, match="cannot be imported"):
        run.set_up("requirements.txt")
    assert not run.stamp("requirements.txt").exists()


# --- from where ----------------------------------------------------------------------------


def test_uv_installs_with_the_overrides(run: ModuleType, commands: Commands) -> None:
    run.set_up("requirements.txt")
    (installed,) = commands.with_word("-r")
    assert installed.startswith("uv pip install") and "--overrides" in installed


@pytest.mark.parametrize("trouble", ["cannot be fetched", "fails"])
def test_pip_installs_where_uv_does_not_and_leaves_torchvision_out(
    run: ModuleType, commands: Commands, trouble: str
) -> None:
    if trouble == "fails":
        commands.failing = ["uv pip install"]
    else:
        run.VENV.uv.unlink()
    run.set_up("requirements.txt")
    assert commands.with_word("-r")[-1].startswith("python -m pip install -r")
    assert commands.with_word("uninstall")[-1].endswith("torchvision")


def test_uv_is_told_the_index_that_pip_uses(
    run: ModuleType, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes: list[str] = []

    def call(command: list[str], **options: dict[str, str]) -> int:
        indexes.extend([options["env"]["UV_DEFAULT_INDEX"]] if "env" in options else [])
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    commands.saying = {"config list": "global.index-url='https://mirror.example/simple'\n"}
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    run.VENV.install("requirements.txt", "2.13.0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://chosen.example/simple")
    run.VENV.install("requirements.txt", "2.13.0")
    assert indexes == ["https://mirror.example/simple", "https://chosen.example/simple"]


def test_cpu_torch_comes_first_and_from_local_files(run: ModuleType, commands: Commands) -> None:
    run.set_up("requirements.txt")
    torch = commands.seen.index("python -m pip install --no-deps --no-index torch==2.13.0+cpu")
    assert torch < commands.seen.index(commands.with_word("-r")[0])
    assert not commands.with_word("download.pytorch.org")


@pytest.mark.parametrize("reachable", [True, False])
def test_cpu_torch_else_comes_from_pytorchs_index_if_that_has_it(
    run: ModuleType, commands: Commands, capsys: pytest.CaptureFixture[str], reachable: bool
) -> None:
    commands.failing = ["--no-index"]
    commands.saying = {"index versions": "Available versions: 2.13.0+cpu" if reachable else ""}
    run.set_up("requirements.txt")
    fetched = [line for line in commands.with_word("whl/cpu") if "torch==2.13.0+cpu" in line]
    assert len(fetched) == reachable
    assert ("several GB of CUDA" in capsys.readouterr().out) is not reachable


@pytest.mark.parametrize(
    ("system", "machine", "nvidia", "needed"),
    [
        ("linux", "x86_64", None, True),
        ("linux", "x86_64", "/usr/bin/nvidia-smi", False),
        ("linux", "aarch64", None, False),
        ("win32", "AMD64", None, False),
        ("darwin", "arm64", None, False),
    ],
)
def test_cpu_torch_is_chosen_on_linux_without_nvidia(
    run: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    nvidia: str | None,
    needed: bool,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(shutil, "which", lambda name: nvidia)
    if Path("/proc/driver/nvidia").exists():
        needed = False
    assert importlib.import_module("setup.environment").needs_cpu_torch() is needed


NPU_PYTHONS = ["3.11", "3.12"]
SYSTEMS = ["x86_64-pc-windows-msvc", "x86_64-unknown-linux-gnu"]


@pytest.fixture(scope="module")
def resolve() -> Iterator[Callable[[str, str, str], set[str]]]:
    """`resolve(requirements, system, python)`: the names of all that uv would install there.

    Uv waits for the package index most of the time, so all resolutions run at once.
    """
    resolutions = [("requirements-dev.txt", *target) for target in product(SYSTEMS, PYTHONS)]
    resolutions += [("requirements-npu.txt", *target) for target in product(SYSTEMS, NPU_PYTHONS)]
    with ThreadPoolExecutor(4) as pool:
        results = {target: pool.submit(resolution, *target) for target in resolutions}
        yield lambda *target: results[target].result()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_requirements_go_together(
    system: str, python: str, resolve: Callable[[str, str, str], set[str]]
) -> None:
    resolved = resolve("requirements-dev.txt", system, python)
    windows = "windows" in system
    assert ("onnxruntime-genai-directml" in resolved) is windows
    assert ("onnxruntime-genai" in resolved) is not windows
    assert "torch" in resolved and "torchvision" not in resolved


@pytest.mark.parametrize("python", NPU_PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_npu_librarys_requirements_go_together(
    system: str, python: str, resolve: Callable[[str, str, str], set[str]]
) -> None:
    resolved = resolve("requirements-npu.txt", system, python)
    windows = "windows" in system
    assert ("intel-npu-acceleration-library" in resolved) is windows
    assert ("openvino" in resolved) is not windows  # the wheel brings its own


def resolution(requirements: str, system: str, python: str) -> set[str]:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv, "requirements-dev.txt brings uv"
    files = ["--overrides", str(ROOT / "overrides.txt"), str(ROOT / requirements)]
    command = [uv, "pip", "compile", "--quiet", "--no-annotate", "--no-header"]
    command += ["--python-platform", system, "--python-version", python]
    command += ["--only-binary", ":all:"]
    command += ["--python", sys.executable]  # else it looks about for the version asked for
    ended = subprocess.run([*command, *files], capture_output=True, encoding="utf-8", timeout=300)
    assert ended.returncode == 0, ended.stderr
    return {line.split("==")[0] for line in ended.stdout.splitlines()}


# --- the NPU library -----------------------------------------------------------------------


@pytest.fixture
def npu(project: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """setup/npu.py on an x86-64 Linux with g++ and Python 3.11, where a build succeeds at once."""
    module = importlib.import_module("setup.npu")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "version_info", (3, 11, 9))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(module, "build", lambda environment: None)
    venv.create(project / ".venv-npu", symlinks=os.name != "nt")
    settings = project / ".venv-npu" / "pyvenv.cfg"
    settings.write_text("version = 3.11.9\n", encoding="utf-8")
    commands.saying = {"npu_available": "a warning\nno NPU\n"}
    return module


def test_the_npu_library_is_set_up_once(
    run: ModuleType, npu: ModuleType, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["setup", "npu"]) == 0
    assert "torch==2.12.1+cpu" in commands.with_word("--no-index")[0]
    assert commands.with_word("-r")[0].endswith("requirements-npu.txt")
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith("Intel's NPU library finds no NPU. Set up in ")
    )
    assert npu_environment.ready()
    commands.seen.clear()
    assert run.main(["setup", "npu"]) == 0
    assert capsys.readouterr().out == "Everything is set up already.\n"
    assert commands.seen == []


@pytest.mark.parametrize("name", ["requirements-npu.txt", "setup/npu.py"])
def test_what_it_was_made_from_has_changed_so_it_is_made_again(
    project: Path, npu: ModuleType, name: str
) -> None:
    assert npu.set_up() is True
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert not npu_environment.ready()
    assert npu.set_up() is True


@pytest.mark.parametrize(
    ("failing", "message"), [("-r", "Installing failed"), ("npu_available", "cannot be imported")]
)
def test_half_made_it_does_not_look_complete(
    npu: ModuleType, commands: Commands, failing: str, message: str
) -> None:
    npu.set_up()
    npu_environment.stamp().write_text("of an older version", encoding="ascii")
    commands.failing = [failing]
    with pytest.raises(SystemExit, match=message):
        npu.set_up()
    assert not npu_environment.stamp().exists()


def test_the_compilers_own_words_come_before_ours(
    npu: ModuleType, commands: Commands, tmp_path: Path
) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "libopenvino.so.2440").touch()
    (tmp_path / npu.PACKAGE).mkdir()
    commands.failing, commands.saying = ["g++"], {"g++": "bindings.cpp:1: error: no"}
    with pytest.raises(SystemExit, match=r"error: no\n\nCompiling failed"):
        npu.compile_library(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("system", "there", "chosen"),
    [
        ("posix", ["python3.11", "python3.12"], "python3.12"),
        ("posix", ["python3.11"], "python3.11"),
        ("nt", ["py -3.11", "py -3.12"], "py -3.12"),
        ("nt", ["python3.12", "py -3.11"], "python3.12"),
    ],
)
def test_a_python_that_the_library_has_a_wheel_for_is_found(
    npu: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    there: list[str],
    chosen: str,
) -> None:
    assert npu.find_python() == ([sys.executable], (3, 11))
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setattr(npu, "works", lambda command: " ".join(command[:-2]) in there)
    monkeypatch.setattr(npu, "WINDOWS", system == "nt")
    command, version = npu.find_python()
    assert (" ".join(command), version) == (chosen, (3, int(chosen[-2:])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (sys, "version_info", (3, 13, 0)),
            "needs Python 3.12 or 3.11, with venv, beside this 3.13",
        ),
        ((shutil, "which", lambda name: None), "install it with sudo apt install g\\+\\+"),
        ((sys, "platform", "darwin"), "on Windows and Linux on x86-64 only"),
        ((platform, "machine", lambda: "aarch64"), "on Windows and Linux on x86-64 only"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_installed(
    run: ModuleType,
    npu: ModuleType,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[object, str, object],
    message: str,
) -> None:
    commands.failing = ["python3 -c"]  # of another version
    monkeypatch.setattr(*change)
    with pytest.raises(SystemExit, match=message):
        run.main(["setup", "npu"])
    assert not commands.with_word("install")


def test_the_tests_go_on_where_it_cannot_be_had(
    run: ModuleType,
    npu: ModuleType,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(run, "set_up", lambda requirements: False)
    assert run.main(["test", "-k", "fake"]) == 0
    assert "x86-64 only" in capsys.readouterr().out
    assert commands.with_word("pytest")


# --- starting and testing ------------------------------------------------------------------


def test_other_arguments_reach_the_app_and_its_exit_code_comes_back(
    run: ModuleType, project: Path
) -> None:
    mark_installed(run)
    ended = call(project, "--port", "7861", "--no-browser", "--lanes", "fake")
    assert ended.stdout == "['--port', '7861', '--no-browser', '--lanes', 'fake']\n"
    (project / "app.py").write_text("raise SystemExit(3)", encoding="utf-8")
    assert call(project).returncode == 3


@pytest.fixture
def ready(run: ModuleType, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Everything is installed; what would look for the NPU library and a browser is recorded."""
    monkeypatch.setattr(run, "find_browser", lambda: commands.seen.append("browser"))
    monkeypatch.setattr(run, "set_up_npu", lambda needed: commands.seen.append("npu library"))
    mark_installed(run, "requirements-dev.txt")
    return commands


CHECKS = ["python -m ruff check", "python -m ruff format --check", "python -m mypy"]
FAST = "python -m pytest -m not engine and not browser"


def test_all_checks_run_and_pytest_last(run: ModuleType, ready: Commands) -> None:
    assert run.main(["test"]) == 0
    assert ready.seen == ["npu library", "browser", *CHECKS, "python -m pytest"]


def test_the_fast_tests_need_no_npu_library_and_no_browser(
    run: ModuleType, ready: Commands
) -> None:
    assert run.main(["test", "--fast"]) == 0
    assert ready.seen == [*CHECKS, FAST]


def test_the_first_failing_check_ends_the_tests(run: ModuleType, ready: Commands) -> None:
    ready.failing = ["mypy"]
    assert run.main(["test"]) == 1
    assert not ready.with_word("pytest")


def test_with_arguments_only_pytest_runs(run: ModuleType, ready: Commands) -> None:
    assert run.main(["test", "-k", "fake"]) == 0
    assert run.main(["test", "--fast", "-k", "fake"]) == 0
    pytest_calls = ["python -m pytest -k fake", f"{FAST} -k fake"]
    assert ready.seen == ["npu library", "browser", *pytest_calls]


@pytest.mark.skipif(os.name == "nt", reason="every Windows has Edge")
@pytest.mark.parametrize("apt", [True, False])
def test_a_missing_browser_is_installed_or_asked_for(
    run: ModuleType,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    apt: bool,
) -> None:
    monkeypatch.setattr(shutil, "which", {"apt-get": "/usr/bin/apt-get" if apt else None}.get)
    run.find_browser()
    assert bool(commands.with_word("install chromium fonts-noto-cjk")) is apt
    assert "install one of them" in capsys.readouterr().out
