"""Files that a command writes: checked before the work begins, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from playground.errors import BadInput, PlaygroundError


def writable(path: Path) -> Path:
    """The same path. Raises BadInput if it cannot be written; an existing file stays as it is."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", "Name a file.")
    part = partial_path(path)
    try:
        part.open("xb").close()
        part.unlink()
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}.",
            "Name a file in a folder that you can write to.",
        ) from error
    return path


def write(path: Path, data: bytes) -> None:
    """Write all of it or nothing. Raises PlaygroundError."""
    part = partial_path(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PlaygroundError(
            f"{path} could not be written: {error.strerror}.",
            "The table above is all that is left of this benchmark.",
        ) from error


def partial_path(path: Path) -> Path:
    """The name of a file until it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")
