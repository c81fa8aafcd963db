"""A virtual environment of this project: creates it and installs packages with uv or pip.

Standard library only, and no syntax newer than Python 3.6: run.py imports this before it checks
the version.
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
    """Print a line about what is being done, ahead of the output of the command that does it."""
    print(line, flush=True)


def works(command: "list[str]") -> bool:
    """Whether a command succeeds; its output is discarded."""
    null = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdout=null, stderr=null, stdin=null) == 0
    except OSError:  # no such command
        return False


def capture(command: "list[str]") -> "subprocess.CompletedProcess[str]":
    """Run a command and return its output, stderr included."""
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def needs_cpu_torch() -> bool:
    """Whether PyPI's torch would be a CUDA build that this machine cannot use."""
    nvidia = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()
    return sys.platform == "linux" and platform.machine() == "x86_64" and not nvidia


def pinned(package: str, requirements: str) -> str:
    """The version of a package that a requirement file pins."""
    text = (ROOT / requirements).read_text(encoding="utf-8")
    match = re.search(rf"^{package}==([\w.]+)", text, re.M)
    assert match, f"{requirements} pins {package}"
    return match[1]


class Environment:
    """A virtual environment in a folder of this project.

    base: the command that starts the Python to create it with; version: that Python's.
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
        """Whether it exists and its Python still works and has the right version."""
        settings = self.folder / "pyvenv.cfg"
        if not (self.python.exists() and settings.is_file()):
            return False
        text = settings.read_text(encoding="utf-8")
        match = re.search(r"^version\w* *= *(\d+)\.(\d+)", text, re.M)
        return match is not None and (int(match[1]), int(match[2])) == self.version

    def make(self) -> None:
        """Create it, unless it exists and works."""
        if self.fits() and works([str(self.python), "-m", "pip", "--version"]):
            return
        version = "{}.{}".format(*self.version)
        if not works([*self.base, "-c", "import ensurepip"]):  # Debian has it in another package
            sys.exit(
                f"This Python cannot create environments: sudo apt install python{version}-venv"
            )
        say(f"Creating the environment in {self.name} with Python {version} …")
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as error:
            sys.exit(
                f"The old environment cannot be deleted: {error}\n"
                f"Close the programs that use it, or delete the folder {self.name} yourself."
            )
        venv = capture([*self.base, "-m", "venv", str(self.folder)])
        if venv.returncode != 0:
            sys.exit(f"The environment in {self.name} failed:\n{venv.stdout.strip()}")

    def pip(self, *arguments: str, errors: bool = True) -> bool:
        """Run its pip; whether it succeeded. `errors=False` hides error messages."""
        stderr = None if errors else subprocess.DEVNULL
        return subprocess.call([str(self.python), "-m", "pip", *arguments], stderr=stderr) == 0

    def install(self, requirements: str, torch: str) -> None:
        """Install a requirement file with uv or pip, but first torch's CPU build where it fits."""
        if needs_cpu_torch():
            self._install_cpu_torch(torch)
        if not self.uv.exists():
            say("Downloading uv, which installs faster than pip …")
            self.pip("install", "--quiet", "uv", errors=False)
        if self.uv.exists():
            say(f"Installing {requirements} with uv …")
            if self._install_with_uv(requirements):
                return
        say(f"uv failed. Installing {requirements} with pip …")
        if not self.pip("install", "-r", str(ROOT / requirements)):
            sys.exit("Installing failed; the reason is above. Resolve it and run this again.")
        # pip has no overrides, and a torchvision that does not match torch breaks optimum.intel.
        self.pip("uninstall", "--quiet", "--yes", "torchvision")

    def _install_with_uv(self, requirements: str) -> bool:
        """Run uv with the package index of pip's configuration, which uv does not read."""
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
        """Install torch's CPU build from pip's local files or PyTorch's index, if they have it."""
        torch = f"torch=={version}+cpu"
        say(f"Looking for the CPU build of torch {version} …")
        if self.pip("install", "--no-deps", "--no-index", torch, errors=False):
            return
        index = ["--index-url", PYTORCH_CPU_INDEX]
        # Short time limit: many machines cannot reach this index.
        query = ["pip", "index", "versions", "torch", *index, "--timeout", "5", "--retries", "0"]
        versions = capture([str(self.python), "-m", *query]).stdout
        if f"{version}+cpu" in versions and self.pip("install", "--no-deps", *index, torch):
            return
        say("There is none; the standard build brings several GB of CUDA packages.")
