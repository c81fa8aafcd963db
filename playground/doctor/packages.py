"""Versions of the packages that matter, without importing any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

# Not asked for by us, but each has broken an engine once.
ALSO = {"numpy", "onnxruntime", "onnxruntime-directml", "openvino-tokenizers", "optimum"}
ALSO |= {"huggingface-hub", "torchvision", "intel-npu-acceleration-library", "uv"}


def versions(root: Path) -> list[dict[str, str | None]]:
    """One row a package: its version in the running environment and in `.venv-npu`."""
    files = (root / "requirements.txt", root / "requirements-npu.txt")
    names = sorted({*ALSO, *(name for file in files for name in asked_for(file))})
    here, npu = installed(names), installed(names, root / ".venv-npu")
    return [{"package": name, ".venv": here[name], ".venv-npu": npu[name]} for name in names]


def asked_for(requirements: Path) -> list[str]:
    """The names in a requirement file."""
    try:
        text = requirements.read_text(encoding="utf-8")
    except OSError:
        return []
    return [plain(name) for name in re.findall(r"^[A-Za-z][\w.-]*", text, re.MULTILINE)]


def installed(names: Iterable[str], environment: Path | None = None) -> dict[str, str | None]:
    """Versions by name, here or in another environment; None for what is not there."""
    if environment is None:
        found = metadata.distributions()
    else:
        folders = [*environment.glob("lib/python*/site-packages")]  # Windows has but one Lib
        folders += [] if folders else environment.glob("Lib/site-packages")
        found = metadata.distributions(path=[str(each) for each in folders])
    have = {plain(each.name): each.version for each in found if each.name}  # a broken one has none
    return {name: have.get(plain(name)) for name in names}


def plain(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()
