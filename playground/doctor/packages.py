"""Versions of the packages that matter, read without importing any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

# Not in our requirement files, but each has broken an engine before.
INDIRECT = {"numpy", "onnxruntime", "onnxruntime-directml", "openvino-tokenizers", "optimum"}
INDIRECT |= {"huggingface-hub", "torchvision", "intel-npu-acceleration-library", "uv"}
# A version that an index publishes, with the suffixes of PyTorch's builds; any other suffix is of
# somebody's own making and left out.
PUBLIC_VERSION = re.compile(
    r"[\d.]+(?:(?:a|b|rc|\.?post|\.?dev)\d+)*(?:\+(?:cpu|xpu|cu\d+|rocm[\d.]+))?"
)


def versions(root: Path) -> list[dict[str, str | None]]:
    """One row for each package: its version in the running environment and in `.venv-npu`."""
    files = (root / "requirements.txt", root / "requirements-npu.txt")
    names = sorted({*INDIRECT, *(name for file in files for name in required(file))})
    running, npu = installed(names), installed(names, root / ".venv-npu")
    return [{"package": name, ".venv": running[name], ".venv-npu": npu[name]} for name in names]


def required(requirements: Path) -> list[str]:
    """The names in a requirement file; none where there is no such file."""
    try:
        text = requirements.read_text(encoding="utf-8")
    except OSError:
        return []
    return [normalized(name) for name in re.findall(r"^[A-Za-z][\w.-]*", text, re.MULTILINE)]


def installed(names: Iterable[str], environment: Path | None = None) -> dict[str, str | None]:
    """Versions by name, in the running or another environment; None for what is not installed."""
    if environment is None:
        distributions = metadata.distributions()
    else:
        folders = [*environment.glob("lib/python*/site-packages")]
        folders += [] if folders else environment.glob("Lib/site-packages")  # on Windows
        distributions = metadata.distributions(path=[str(folder) for folder in folders])
    # A broken distribution has no name.
    by_name = {
        normalized(package.name): public(package.version)
        for package in distributions
        if package.name
    }
    return {name: by_name.get(normalized(name)) for name in names}


def public(version: str) -> str:
    match = PUBLIC_VERSION.match(version)
    return match[0] if match else "a version of its own"


def normalized(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
