"""What the tests of backends share: a new one by its engine's name, folders to damage, threads."""

from __future__ import annotations

import importlib
import os
import shutil
import threading
from pathlib import Path

from backends import ENGINES
from backends.base import Backend

CAPACITY = 1024  # tokens of prompt and answer


def new(engine: str) -> Backend:
    module, name = ENGINES[engine].target.split(":")
    backend: Backend = getattr(importlib.import_module(module), name)()
    return backend


def copy(folder: Path, target: Path) -> Path:
    """The same folder elsewhere; hard links where possible, for its size."""

    def link(source: str, to: str) -> None:
        try:
            os.link(source, to)
        except OSError:
            shutil.copyfile(source, to)

    shutil.copytree(folder, target, copy_function=link)
    return target


def rewrite(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)  # not through a hard link into the original
    path.write_text(content, encoding="utf-8")


def engine_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "engine"]
