"""Set the playground up in .venv and start it: `python run.py --help`.

Standard library only. No syntax newer than Python 3.6, so that an old one gets a sentence.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

HELP = """\
python run.py [OPTIONS]       set everything up in .venv when needed, then start the playground
python run.py setup           only set up
python run.py test [ARGS]     set up the tests too and run them all; ARGS go to pytest alone

OPTIONS go to the playground (python run.py --port 7861 --no-browser):
  --port N         7860 unless told
  --host ADDRESS   127.0.0.1 unless told; 0.0.0.0 lets other machines in
  --no-browser     do not open a browser
  --share          make a public link by gradio.live
  --lanes A,B      such as fake, or pytorch,onnx-genai:CPU:int8
  --model M        a preset or a Hugging Face folder"""

SUPPORTED = ((3, 11), (3, 12), (3, 13))
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
UV = SCRIPTS / ("uv.exe" if os.name == "nt" else "uv")
APP = "requirements.txt"
DEV = "requirements-dev.txt"
OVERRIDES = "overrides.txt"
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge", "msedge")


def main(arguments: "list[str]") -> int:
    """Do what the command line asks for; the exit code."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(HELP)
        return 0
    trouble = version_trouble(sys.version_info[:2])
    if trouble:
        print(trouble, file=sys.stderr)
        return 2
    if arguments[:1] == ["test"]:
        set_up(DEV)
        return test(arguments[1:])
    fresh = set_up(APP)
    if arguments[:1] == ["setup"]:
        if not fresh:
            say("Everything is set up already.")
        return 0
    return start(arguments)


def say(line: str) -> None:
    """One plain line about what is being done, before any output of the command that does it."""
    print(line, flush=True)


def version_trouble(version: "tuple[int, ...]") -> "str | None":
    """What to tell a person whose Python is too old or too new."""
    if version in SUPPORTED:
        return None
    trouble = "Python {}.{} is too {}; ".format(
        *version, "old" if version < SUPPORTED[0] else "new"
    )
    for major, minor in SUPPORTED[::-1]:
        named = ["py", f"-{major}.{minor}"] if os.name == "nt" else [f"python{major}.{minor}"]
        if works([*named, "--version"]):
            return trouble + "run it with one that is here already: " + " ".join([*named, "run.py"])
    return trouble + "install Python 3.11, 3.12 or 3.13 from python.org and run it with that"


def works(command: "list[str]") -> bool:
    """Whether a command succeeds; nobody sees what it says."""
    nobody = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdout=nobody, stderr=nobody, stdin=nobody) == 0
    except OSError:  # no such command
        return False


# --- the environment -----------------------------------------------------------------------


def set_up(requirements: str) -> bool:
    """Make `.venv` fit a requirement file; False when it does already, found out in an instant."""
    done = stamp(requirements)
    if venv_fits() and done.is_file() and done.read_bytes() == fingerprint(requirements):
        return False
    begun = time.monotonic()
    make_venv()
    for old in (APP, DEV):
        stamp(old).unlink(missing_ok=True)
    install(requirements)
    check_import()
    for new in {APP, requirements}:
        stamp(new).write_bytes(fingerprint(new))
    say(f"Set up in {time.monotonic() - begun:.0f} s.")
    return True


def stamp(requirements: str) -> Path:
    """Where the fingerprint of an installed requirement file is kept."""
    return VENV / f"{requirements}.installed"


def fingerprint(requirements: str) -> bytes:
    """Changes when what is to be installed, or the Python it is for, changes."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for name in sorted({APP, OVERRIDES, requirements}):
        digest.update((ROOT / name).read_bytes())
    return digest.digest()


def venv_fits() -> bool:
    """Whether `.venv` is there, its Python still exists and is of the running version."""
    settings = VENV / "pyvenv.cfg"
    if not (PYTHON.exists() and settings.is_file()):
        return False
    found = re.search(r"^version\w* *= *(\d+)\.(\d+)", settings.read_text(encoding="utf-8"), re.M)
    return found is not None and (int(found[1]), int(found[2])) == sys.version_info[:2]


def make_venv() -> None:
    """Make `.venv` with the running Python unless there is a sound one."""
    if venv_fits() and works([str(PYTHON), "-m", "pip", "--version"]):
        return
    version = "{}.{}".format(*sys.version_info)
    if find_spec("ensurepip") is None:  # Debian and Ubuntu keep it in a package of its own
        sys.exit(f"This Python cannot make environments: sudo apt install python{version}-venv")
    say(f"Making the environment in .venv with Python {version} …")
    try:
        if VENV.exists():
            shutil.rmtree(VENV)
    except OSError as error:
        sys.exit(f"The old environment cannot be removed; close what uses it, or do it: {error}")
    made = capture([sys.executable, "-m", "venv", str(VENV)])
    if made.returncode != 0:
        sys.exit(f"The environment could not be made in .venv:\n{made.stdout.strip()}")


def capture(command: "list[str]") -> "subprocess.CompletedProcess[str]":
    """Run a command and keep what it says, errors included."""
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def pip(*arguments: str, errors: bool = True) -> bool:
    """Run the environment's pip; whether it succeeded. `errors=False` keeps its failure to us."""
    hidden = None if errors else subprocess.DEVNULL
    return subprocess.call([str(PYTHON), "-m", "pip", *arguments], stderr=hidden) == 0


# --- installing ----------------------------------------------------------------------------


def install(requirements: str) -> None:
    """Install a requirement file: torch's CPU build first, then all by uv or pip."""
    if wants_cpu_torch():
        install_cpu_torch()
    if not UV.exists():
        say("Fetching uv, which installs faster than pip …")
        pip("install", "--quiet", "uv", errors=False)
    if UV.exists():
        say(f"Installing {requirements} with uv …")
        if install_with_uv(requirements):
            return
    say(f"uv could not do it. Installing {requirements} with pip …")
    if not pip("install", "-r", str(ROOT / requirements)):
        sys.exit("Installing failed, for the reason above. Once it is gone, run this again.")
    # pip has no overrides, and a torchvision that does not match torch breaks optimum.intel.
    pip("uninstall", "--quiet", "--yes", "torchvision")


def install_with_uv(requirements: str) -> bool:
    """uv does not read pip's configuration: hand it the package index that pip is set to."""
    environment = dict(os.environ)
    if not environment.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        settings = capture([str(PYTHON), "-m", "pip", "config", "list"]).stdout
        index = re.search(r"^(?::env:|global|install)\.index-url='(.+)'$", settings, re.M)
        if index:
            environment["UV_DEFAULT_INDEX"] = index[1]
    command = [str(UV), "pip", "install", "--python", str(PYTHON), "-r", str(ROOT / requirements)]
    return subprocess.call([*command, "--overrides", str(ROOT / OVERRIDES)], env=environment) == 0


def wants_cpu_torch() -> bool:
    """On Linux PyPI's torch is for NVIDIA; elsewhere it is a CPU build anyway."""
    nvidia = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()
    return sys.platform == "linux" and platform.machine() == "x86_64" and not nvidia


def install_cpu_torch() -> None:
    """Take torch's CPU build from pip's local files or PyTorch's own index, where one is."""
    pinned = re.search(r"^torch==([\w.]+)", (ROOT / APP).read_text(encoding="utf-8"), re.M)
    assert pinned, "requirements.txt pins torch"
    torch = f"torch=={pinned[1]}+cpu"
    say(f"Looking for the CPU build of torch {pinned[1]} …")
    if pip("install", "--no-deps", "--no-index", torch, errors=False):
        return
    index = ["--index-url", PYTORCH_CPU_INDEX]
    # Asked with little patience, so that a machine that cannot reach it does not wait.
    asked = ["pip", "index", "versions", "torch", *index, "--timeout", "5", "--retries", "0"]
    listed = capture([str(PYTHON), "-m", *asked]).stdout
    if f"{pinned[1]}+cpu" in listed and pip("install", "--no-deps", *index, torch):
        return
    say("None can be had: the plain build comes instead, with several GB of CUDA packages.")


def check_import() -> None:
    """Prove the environment by the import that breaks first when versions do not go together."""
    say("Checking that the engines can be imported …")
    proof = capture([str(PYTHON), "-c", "from optimum.intel import OVModelForCausalLM"])
    if proof.returncode == 0:
        return
    runtime = "the Visual C++ runtime (https://aka.ms/vs/17/release/vc_redist.x64.exe) is missing"
    cause = f"If {runtime}, install it. " if os.name == "nt" else ""
    sys.exit(
        f"{proof.stdout.strip()}\n\nThe engines cannot be imported, for the reason above. {cause}"
        "Delete the folder .venv and run this again."
    )


# --- what the environment is for -----------------------------------------------------------


def start(arguments: "list[str]") -> int:
    """Start the playground in place of this process; Windows cannot, and waits for it."""
    command = [str(PYTHON), str(ROOT / "app.py"), *arguments]
    if os.name != "nt":
        os.execv(command[0], command)
    with subprocess.Popen(command) as app:
        while True:
            try:
                return app.wait()
            except KeyboardInterrupt:  # the playground has had it too and is closing
                continue


def test(arguments: "list[str]") -> int:
    """Style, types and tests; with arguments only pytest. The first failure's exit code."""
    find_browser()
    checks = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    for check in [*([] if arguments else checks), ["pytest", *arguments]]:
        say("$ " + " ".join(check))
        code = subprocess.call([str(PYTHON), "-m", *check], cwd=str(ROOT))
        if code != 0:
            return code
    return 0


def find_browser() -> None:
    """The tests press the page's buttons in a Chromium: install Debian's when there is none."""
    if os.name == "nt" or any(map(shutil.which, BROWSERS)):  # every Windows has Edge
        return
    administrator = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and works([*administrator, "apt-get", "--version"]):
        say("Installing Chromium for the browser tests …")
        apt = [*administrator, "apt-get", "-q", "-y"]
        if subprocess.call([*apt, "update"]) == 0:
            subprocess.call([*apt, "install", "chromium", "fonts-noto-cjk"])
    if not any(map(shutil.which, BROWSERS)):
        say("The browser tests need Chromium, Chrome or Edge: install one of them.")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
