"""Installs Intel's NPU Acceleration Library in `.venv-npu`, for `python run.py setup npu`.

The library is archived and needs older packages than the other engines. It has wheels for Windows
and Python up to 3.12; on Linux it is compiled from source. Standard library only.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from playground.workers import npu_environment
from setup.environment import Environment, capture, pinned, say, works

WINDOWS = os.name == "nt"
PYTHONS = ((3, 12), (3, 11))  # 1.4.0 has no wheels for newer ones
PACKAGE = "intel_npu_acceleration_library"
VERSION = "1.4.0"
# OpenVINO's wheel has the old C++ ABI. The library's own build uses -march=native; these are the
# instructions that its conversion.h needs.
FLAGS = ["-shared", "-fPIC", "-O2", "-std=c++17", "-w"]
FLAGS += ["-D_GLIBCXX_USE_CXX11_ABI=0", "-mavx2", "-mf16c"]
CHECK = f"""
import warnings
warnings.simplefilter("ignore")
import {PACKAGE}
from transformers import AutoModelForCausalLM
from {PACKAGE}.backend import get_driver_version, npu_available
print(f"an NPU, driver {{get_driver_version()}}" if npu_available() else "no NPU")
"""


class Impossible(Exception):
    """The library cannot be installed on this machine, or needs something that is missing."""


def set_up() -> bool:
    """Create `.venv-npu`; False if it is complete already. Raises Impossible."""
    if npu_environment.ready():
        return False
    check_machine()
    start_time = time.monotonic()
    base, version = find_python()
    environment = Environment(npu_environment.NAME, base, version)
    npu_environment.stamp().unlink(missing_ok=True)
    environment.make()
    requirements = npu_environment.REQUIREMENTS
    environment.install(requirements, torch=pinned("torch", requirements))
    if sys.platform == "linux":
        build(environment)
    device = check_import(environment)
    npu_environment.stamp().write_text(npu_environment.fingerprint(), encoding="ascii")
    say(f"Intel's NPU library finds {device}. Set up in {time.monotonic() - start_time:.0f} s.")
    return True


def check_machine() -> None:
    """Raise Impossible for a system that the library does not support."""
    if sys.platform not in ("win32", "linux") or platform.machine() not in ("AMD64", "x86_64"):
        raise Impossible("Intel's NPU library runs on Windows and Linux on x86-64 only.")
    if sys.platform == "linux" and not shutil.which("g++"):
        raise Impossible(
            "Intel's NPU library has to be compiled on Linux, and there is no C++ compiler: "
            "install it with sudo apt install g++ (or as your system does), then run this again."
        )


def find_python() -> tuple[list[str], tuple[int, int]]:
    """The command that starts a Python that the library supports, and its version."""
    running = sys.version_info[:2]
    if running in PYTHONS:
        return [sys.executable], running
    for major, minor in PYTHONS:
        commands = [[f"python{major}.{minor}"]]
        if WINDOWS:
            commands.insert(0, ["py", f"-{major}.{minor}"])
        test = f"import ensurepip, sys; sys.exit(sys.version_info[:2] != ({major}, {minor}))"
        for command in commands:
            if works([*command, "-c", test]):
                return command, (major, minor)
    raise Impossible(
        "Intel's NPU library needs Python 3.12 or 3.11, with venv, beside this {}.{}: install "
        "3.12 from python.org, then run this again.".format(*running)
    )


def build(environment: Environment) -> None:
    """Compile the library for Linux and install it in the environment.

    Its own build needs cmake, Ubuntu and a download of OpenVINO; the wheel of that OpenVINO has the
    same headers and libraries.
    """
    say("Downloading the source of Intel's NPU library …")
    (site,) = environment.folder.glob("lib/python*/site-packages")
    with tempfile.TemporaryDirectory(dir=environment.folder) as scratch:
        source = fetch_source(environment, Path(scratch))
        say("Compiling it, which takes half a minute …")
        compile_library(source, site / "openvino")
        for name in (PACKAGE, f"{PACKAGE}-{VERSION}.dist-info"):
            shutil.rmtree(site / name, ignore_errors=True)
            (source / name).rename(site / name)


def fetch_source(environment: Environment, scratch: Path) -> Path:
    """Its unpacked source, with the metadata by which pip sees that it is installed."""
    only_source = ["--no-deps", "--no-build-isolation", "--no-binary", PACKAGE]
    where = ["--dest", str(scratch), f"{PACKAGE}=={VERSION}"]
    if not environment.pip("download", "--quiet", *only_source, *where):
        sys.exit("The download failed; the reason is above. Resolve it and run this again.")
    (archive,) = scratch.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        # refuses paths outside the folder; Python 3.11.0 to 3.11.3 lacks it
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(scratch)
    source = scratch / f"{PACKAGE}-{VERSION}"
    metadata = source / f"{PACKAGE}-{VERSION}.dist-info"
    metadata.mkdir()
    shutil.copy(source / "PKG-INFO", metadata / "METADATA")
    return source


def compile_library(source: Path, openvino: Path) -> None:
    """Compile the shared library into `lib/` of the package."""
    (runtime,) = (openvino / "libs").glob("libopenvino.so.*")
    folder = source / PACKAGE / "lib"
    folder.mkdir()
    library = folder / f"lib{PACKAGE}.so"
    command = ["g++", *FLAGS, str(source / "src" / "bindings.cpp"), "-o", str(library)]
    command += [f"-I{source / 'include'}", f"-I{openvino / 'include'}"]
    command += [f"-L{runtime.parent}", f"-l:{runtime.name}"]
    compiled = capture([*command, "-Wl,-rpath,$ORIGIN/../../openvino/libs"])
    if compiled.returncode != 0:
        sys.exit(f"{compiled.stdout.strip()}\n\nCompiling failed; the reason is above.")
    # The package loads this name first. As a link to itself it loads the real OpenVINO from the
    # folder of its plugins, without LD_LIBRARY_PATH.
    (folder / "libopenvino.so").symlink_to(library.name)


def check_import(environment: Environment) -> str:
    """Try the imports of a lane; returns which NPU the library finds, or "no NPU"."""
    say("Checking that it can be imported, which takes up to a minute …")
    proof = capture([str(environment.python), "-c", CHECK])
    if proof.returncode == 0:
        return proof.stdout.strip().splitlines()[-1]
    sys.exit(
        f"{proof.stdout.strip()}\n\nIntel's NPU library cannot be imported; the reason is above. "
        f"Delete the folder {environment.name} and run this again."
    )
