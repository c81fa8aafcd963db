"""A virtual environment of this project: made, and filled by uv or pip.

Standard library only, and no syntax newer than Python 3.6: run.py imports this before it has looked
at the version.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OVERRIDES = "overrides.txt"
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def say(line: str) -> None:
    """One plain line about what is being done, before any output of the command that does it."""
    print(line, flush=True)


def works(command: "list[str]") -> bool:
    """Whether a command succeeds; nobody sees what it says."""
    nobody = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdout=nobody, stderr=nobody, stdin=nobody) == 0
    except OSError:  # no such command
        return False


def capture(command: "list[str]") -> "subprocess.CompletedProcess[str]":
    """Run a command and keep what it says, errors included."""
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def wants_cpu_torch() -> bool:
    """On Linux PyPI's torch is for NVIDIA; elsewhere it is a CPU build anyway."""
    nvidia = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()
    return sys.platform == "linux" and platform.machine() == "x86_64" and not nvidia


def pinned(package: str, requirements: str) -> str:
    """The version that a requirement file fixes for a package."""
    text = (ROOT / requirements).read_text(encoding="utf-8")
    found = re.search(rf"^{package}==([\w.]+)", text, re.M)
    assert found, f"{requirements} pins {package}"
    return found[1]


class Environment:
    """A folder of this project with a Python and packages of its own.

    base: the command that starts the Python it is made with; version: of that Python.
    """

    def __init__(self, name: str, base: "list[str]", version: "tuple[int, ...]") -> None:
        self.name = name
        self.folder = ROOT / name
        self.base = base
        self.version = version
        self.scripts = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / ("python.exe" if os.name == "nt" else "python")
        self.uv = self.scripts / ("uv.exe" if os.name == "nt" else "uv")

    def fits(self) -> bool:
        """Whether it is there, its Python still exists and is of that version."""
        settings = self.folder / "pyvenv.cfg"
        if not (self.python.exists() and settings.is_file()):
            return False
        text = settings.read_text(encoding="utf-8")
        found = re.search(r"^version\w* *= *(\d+)\.(\d+)", text, re.M)
        return found is not None and (int(found[1]), int(found[2])) == self.version

    def make(self) -> None:
        """Make it unless there is a sound one."""
        if self.fits() and works([str(self.python), "-m", "pip", "--version"]):
            return
        version = "{}.{}".format(*self.version)
        if not works([*self.base, "-c", "import ensurepip"]):  # Debian has it in another package
            sys.exit(f"This Python cannot make environments: sudo apt install python{version}-venv")
        say(f"Making the environment in {self.name} with Python {version} …")
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as error:
            sys.exit(
                f"The old environment cannot be removed; close what uses it, or do it: {error}"
            )
        made = capture([*self.base, "-m", "venv", str(self.folder)])
        if made.returncode != 0:
            sys.exit(f"The environment could not be made in {self.name}:\n{made.stdout.strip()}")

    def pip(self, *arguments: str, errors: bool = True) -> bool:
        """Run its pip; whether it succeeded. `errors=False` keeps its failure to us."""
        hidden = None if errors else subprocess.DEVNULL
        return subprocess.call([str(self.python), "-m", "pip", *arguments], stderr=hidden) == 0

    def install(self, requirements: str, torch: str) -> None:
        """Install a requirement file by uv or pip; first its `torch`, where a CPU build is fit."""
        if wants_cpu_torch():
            self._install_cpu_torch(torch)
        if not self.uv.exists():
            say("Fetching uv, which installs faster than pip …")
            self.pip("install", "--quiet", "uv", errors=False)
        if self.uv.exists():
            say(f"Installing {requirements} with uv …")
            if self._install_with_uv(requirements):
                return
        say(f"uv could not do it. Installing {requirements} with pip …")
        if not self.pip("install", "-r", str(ROOT / requirements)):
            sys.exit("Installing failed, for the reason above. Once it is gone, run this again.")
        # pip has no overrides, and a torchvision that does not match torch breaks optimum.intel.
        self.pip("uninstall", "--quiet", "--yes", "torchvision")

    def _install_with_uv(self, requirements: str) -> bool:
        """uv does not read pip's configuration: hand it the package index that pip is set to."""
        environment = dict(os.environ)
        if not environment.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
            settings = capture([str(self.python), "-m", "pip", "config", "list"]).stdout
            index = re.search(r"^(?::env:|global|install)\.index-url='(.+)'$", settings, re.M)
            if index:
                environment["UV_DEFAULT_INDEX"] = index[1]
        command = [str(self.uv), "pip", "install", "--python", str(self.python)]
        command += ["-r", str(ROOT / requirements), "--overrides", str(ROOT / OVERRIDES)]
        return subprocess.call(command, env=environment) == 0

    def _install_cpu_torch(self, version: str) -> None:
        """Take torch's CPU build from pip's local files or PyTorch's own index, where one is."""
        torch = f"torch=={version}+cpu"
        say(f"Looking for the CPU build of torch {version} …")
        if self.pip("install", "--no-deps", "--no-index", torch, errors=False):
            return
        index = ["--index-url", PYTORCH_CPU_INDEX]
        # Asked with little patience, so that a machine that cannot reach it does not wait.
        asked = ["pip", "index", "versions", "torch", *index, "--timeout", "5", "--retries", "0"]
        listed = capture([str(self.python), "-m", *asked]).stdout
        if f"{version}+cpu" in listed and self.pip("install", "--no-deps", *index, torch):
            return
        say("None can be had: the plain build comes instead, with several GB of CUDA packages.")
