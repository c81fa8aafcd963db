"""Install the playground in .venv and start it: `python run.py --help`.

Standard library only, and no syntax newer than Python 3.6: an old Python gets a sentence about
its age.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from setup.environment import OVERRIDES, ROOT, Environment, capture, pinned, say, works

HELP = """\
Usage: python run.py [OPTIONS]

  Install what is missing in .venv, then start the playground.

Other commands:
  python run.py setup             Only install.
  python run.py setup npu         Install Intel's NPU Acceleration Library, too,
                                  in .venv-npu.
  python run.py test              Install all of it, check style and types, run
                                  all tests.
  python run.py test --fast       The same without the NPU library and the tests
                                  that need an engine or a browser.
  python run.py test [--fast] ARGS
                                  Install, then run pytest with ARGS.

Options:
  --host ADDRESS       0.0.0.0 lets other machines in.  [default: 127.0.0.1]
  --port N             Port of the page.  [default: 7860]
  --no-browser         Do not open a browser.
  --share              Create a public link at gradio.live.
  --lanes A,B          Lanes to run, for example fake,onnx-genai:CPU:int8.
                       [default: all installed engines]
  --model M            Preset, Hugging Face owner/name, GGUF file or folder.
                       [default: SmolLM2-135M-Instruct]
  --force              Load a model even if memory seems too small for it.
  --no-history         Save neither prompts nor results to the history.
  --trust-remote-code  Run a model's own code; only if you trust it.
  -h, --help           Show this message and exit."""

# Nothing else keeps OpenVINO from reporting its import to Google.
PROOF = """
import sys
sys.modules["openvino_telemetry"] = None
from optimum.intel import OVModelForCausalLM
"""
SUPPORTED = ((3, 11), (3, 12), (3, 13))
VENV = Environment(".venv", [sys.executable], sys.version_info[:2])
APP = "requirements.txt"
DEV = "requirements-dev.txt"
FAST = ["-m", "not engine and not browser"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge", "msedge")


def main(arguments: "list[str]") -> int:
    """Do what the arguments ask for; returns the exit code."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(HELP)
        return 0
    problem = version_problem(sys.version_info[:2])
    if problem:
        print(problem, file=sys.stderr)
        return 2
    if arguments[:2] == ["test", "--fast"]:
        set_up(DEV)
        return test(FAST, arguments[2:])
    if arguments[:1] == ["test"]:
        set_up(DEV)
        set_up_npu(needed=False)
        find_browser()
        return test([], arguments[1:])
    if arguments[:1] != ["setup"]:
        set_up(APP)
        return start(arguments)
    if arguments[1:] not in ([], ["npu"]):
        print(HELP, file=sys.stderr)
        return 2
    if not (set_up_npu(needed=True) if arguments[1:] else set_up(APP)):
        say("Everything is set up already.")
    return 0


def version_problem(version: "tuple[int, ...]") -> "str | None":
    """Which Python to use instead of one that is too old or too new, or None."""
    if version in SUPPORTED:
        return None
    problem = "Python {}.{} is too {}; ".format(
        *version, "old" if version < SUPPORTED[0] else "new"
    )
    for major, minor in SUPPORTED[::-1]:
        python = ["py", f"-{major}.{minor}"] if os.name == "nt" else [f"python{major}.{minor}"]
        if works([*python, "--version"]):
            return problem + "use one that is installed already: " + " ".join([*python, "run.py"])
    return problem + "install Python 3.11, 3.12 or 3.13 from python.org and use that"


# --- the environments ----------------------------------------------------------------------


def set_up(requirements: str) -> bool:
    """Install a requirement file in `.venv`; False, after a quick look, if nothing has changed."""
    installed = stamp(requirements)
    if VENV.fits() and installed.is_file() and installed.read_bytes() == fingerprint(requirements):
        return False
    start_time = time.monotonic()
    VENV.make()
    for name in (APP, DEV):
        stamp(name).unlink(missing_ok=True)
    VENV.install(requirements, torch=pinned("torch", APP))
    check_import()
    for name in {APP, requirements}:
        stamp(name).write_bytes(fingerprint(name))
    say(f"Set up in {time.monotonic() - start_time:.0f} s.")
    return True


def stamp(requirements: str) -> Path:
    """The file that holds the fingerprint of an installed requirement file."""
    return VENV.folder / f"{requirements}.installed"


def fingerprint(requirements: str) -> bytes:
    """A digest of what is to be installed and of the Python version."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for name in sorted({APP, OVERRIDES, requirements}):
        digest.update((ROOT / name).read_bytes())
    return digest.digest()


def check_import() -> None:
    """Try the import that fails first if package versions do not match; exit if it fails."""
    say("Checking that the engines can be imported …")
    proof = capture([str(VENV.python), "-c", PROOF])
    if proof.returncode == 0:
        return
    runtime = "the Visual C++ runtime (https://aka.ms/vs/17/release/vc_redist.x64.exe) is missing"
    cause = f"If {runtime}, install it. " if os.name == "nt" else ""
    sys.exit(
        f"{proof.stdout.strip()}\n\nThe engines cannot be imported; the reason is above. {cause}"
        "Delete the folder .venv and run this again."
    )


def set_up_npu(needed: bool) -> bool:
    """Install the NPU library in `.venv-npu`; False if there was nothing to do.

    If this machine cannot have it, print the reason, and exit if it is `needed`.
    """
    from setup import npu as setup_npu  # not at the top: its syntax is newer than Python 3.6

    try:
        return setup_npu.set_up()
    except setup_npu.Impossible as reason:
        if needed:
            sys.exit(str(reason))
        say(str(reason))
        return False


# --- starting and testing ------------------------------------------------------------------


def start(arguments: "list[str]") -> int:
    """Replace this process by the playground; on Windows start it and wait."""
    command = [str(VENV.python), str(ROOT / "app.py"), *arguments]
    if os.name != "nt":
        os.execv(command[0], command)
    with subprocess.Popen(command) as app:
        while True:
            try:
                return app.wait()
            except KeyboardInterrupt:  # the playground got it, too, and is closing
                continue


def test(selection: "list[str]", arguments: "list[str]") -> int:
    """Check style and types, then run the selected tests; with arguments run only pytest.

    Returns the exit code of the first check that fails.
    """
    checks = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    for check in [*([] if arguments else checks), ["pytest", *selection, *arguments]]:
        say("$ " + " ".join(check))
        code = subprocess.call([str(VENV.python), "-m", *check], cwd=str(ROOT))
        if code != 0:
            return code
    return 0


def find_browser() -> None:
    """Install Debian's Chromium for the tests of the page if there is no browser."""
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
