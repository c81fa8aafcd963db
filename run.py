"""Set the playground up in .venv and start it: `python run.py --help`.

Standard library only. No syntax newer than Python 3.6, so that an old one gets a sentence.
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
python run.py [OPTIONS]       set everything up in .venv when needed, then start the playground
python run.py setup           only set up
python run.py setup npu       set up Intel's NPU Acceleration Library too, in .venv-npu
python run.py test [ARGS]     set up all that and the tests, and run them; ARGS go to pytest alone

OPTIONS go to the playground (python run.py --port 7861 --no-browser):
  --port N         7860 unless told
  --host ADDRESS   127.0.0.1 unless told; 0.0.0.0 lets other machines in
  --no-browser     do not open a browser
  --share          make a public link by gradio.live
  --lanes A,B      such as fake, or pytorch,onnx-genai:CPU:int8
  --model M        a preset, a Hugging Face id, a folder or a GGUF file
  --force          load a model even if memory seems too small for it
  --no-history     do not keep what is asked and measured
  --trust-remote-code  run code that a model's folder brings along; only for models you trust"""

# OpenVINO would report its import to Google, and has no other switch.
PROOF = """
import sys
sys.modules["openvino_telemetry"] = None
from optimum.intel import OVModelForCausalLM
"""
SUPPORTED = ((3, 11), (3, 12), (3, 13))
VENV = Environment(".venv", [sys.executable], sys.version_info[:2])
APP = "requirements.txt"
DEV = "requirements-dev.txt"
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
        set_up_npu(needed=False)
        return test(arguments[1:])
    if arguments[:1] != ["setup"]:
        set_up(APP)
        return start(arguments)
    if arguments[1:] not in ([], ["npu"]):
        print(HELP, file=sys.stderr)
        return 2
    if not (set_up_npu(needed=True) if arguments[1:] else set_up(APP)):
        say("Everything is set up already.")
    return 0


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


# --- the environments ----------------------------------------------------------------------


def set_up(requirements: str) -> bool:
    """Make `.venv` fit a requirement file; False when it does already, found out in an instant."""
    done = stamp(requirements)
    if VENV.fits() and done.is_file() and done.read_bytes() == fingerprint(requirements):
        return False
    begun = time.monotonic()
    VENV.make()
    for old in (APP, DEV):
        stamp(old).unlink(missing_ok=True)
    VENV.install(requirements, torch=pinned("torch", APP))
    check_import()
    for new in {APP, requirements}:
        stamp(new).write_bytes(fingerprint(new))
    say(f"Set up in {time.monotonic() - begun:.0f} s.")
    return True


def stamp(requirements: str) -> Path:
    """Where the fingerprint of an installed requirement file is kept."""
    return VENV.folder / f"{requirements}.installed"


def fingerprint(requirements: str) -> bytes:
    """Changes when what is to be installed, or the Python it is for, changes."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for name in sorted({APP, OVERRIDES, requirements}):
        digest.update((ROOT / name).read_bytes())
    return digest.digest()


def check_import() -> None:
    """Prove the environment by the import that breaks first when versions do not go together."""
    say("Checking that the engines can be imported …")
    proof = capture([str(VENV.python), "-c", PROOF])
    if proof.returncode == 0:
        return
    runtime = "the Visual C++ runtime (https://aka.ms/vs/17/release/vc_redist.x64.exe) is missing"
    cause = f"If {runtime}, install it. " if os.name == "nt" else ""
    sys.exit(
        f"{proof.stdout.strip()}\n\nThe engines cannot be imported, for the reason above. {cause}"
        "Delete the folder .venv and run this again."
    )


def set_up_npu(needed: bool) -> bool:
    """The same for `.venv-npu`. Where this machine cannot have it, a sentence says why, and that
    is the end when it is `needed`."""
    from setup import npu as setup_npu  # here: its syntax is newer than 3.6

    try:
        return setup_npu.set_up()
    except setup_npu.Impossible as reason:
        if needed:
            sys.exit(str(reason))
        say(str(reason))
        return False


# --- what the environment is for -----------------------------------------------------------


def start(arguments: "list[str]") -> int:
    """Start the playground in place of this process; Windows cannot, and waits for it."""
    command = [str(VENV.python), str(ROOT / "app.py"), *arguments]
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
        code = subprocess.call([str(VENV.python), "-m", *check], cwd=str(ROOT))
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
