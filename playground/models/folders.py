"""A built folder on disk: its manifest, whether it is complete, and moving it into place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from playground.errors import PreparationError

MANIFEST = "playground.json"
MADE_BY = 2  # increased when folders built by an earlier version must be built again
WEIGHTS = (".safetensors", ".bin", ".data", ".onnx")


class Manifest(BaseModel):
    """What a built folder contains. It is written last, so a folder that has one is complete."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    model: str
    format: str
    precision: str
    recipe: str
    weight_bytes: int  # of the weight files
    read_bytes: int  # of these, what one token reads: without a table that is only looked up
    source: str  # sha256 of the GGUF file, or a fingerprint of the source folder
    versions: dict[str, str]
    files: dict[str, int]  # sizes, to recognise a damaged folder
    at: str = ""  # the folder of the files where they are elsewhere, such as a hub's cache
    published: str = ""  # the repository that it was downloaded from already converted
    made_by: int = MADE_BY

    @property
    def full_recipe(self) -> str:
        """ "int4 sym, group 128, as published in …"."""
        return self.recipe + (f", as published in {self.published}" if self.published else "")

    def write(self, folder: Path) -> None:
        text = self.model_dump_json(indent=2) + "\n"
        with (folder / MANIFEST).open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest; None where it is missing, damaged, or another version's."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None
    return manifest if manifest.made_by == MADE_BY else None


def file_sizes(folder: Path) -> dict[str, int]:
    """The size of every file in a folder except the manifest."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    sizes.pop(MANIFEST, None)
    return sizes


def size_on_disk(folder: Path) -> int:
    """Bytes of all regular files in a folder; one that disappears meanwhile is not counted."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = os.lstat(os.path.join(parent, name))
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def weight_bytes(folder: Path) -> int:
    """The size of a folder's weight files, without those of a tokenizer."""
    sizes = file_sizes(folder).items()
    return sum(n for name, n in sizes if name.endswith(WEIGHTS) and "tokenizer" not in name)


def fingerprint(model: Path) -> str:
    """Changes when a local model, a folder or a file, changes; reads no weights."""
    digest = hashlib.sha256()
    for config in (model / "config.json", model / "genai_config.json"):
        if config.is_file():
            digest.update(config.read_bytes())
    names = (".safetensors", ".gguf", ".xml", ".onnx", ".data")
    files = model.iterdir() if model.is_dir() else [model]
    for path in sorted(path for path in files if path.suffix.lower() in names):
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def all_there(folder: Path, manifest: Manifest) -> bool:
    """Whether every file of the manifest is in the folder and has its size."""
    try:
        return all((folder / name).stat().st_size == size for name, size in manifest.files.items())
    except OSError:
        return False


def check_built(folder: Path, manifest: Manifest) -> None:
    """Raise PreparationError where a file has been deleted or truncated since the build."""
    for name, size in manifest.files.items():
        path = folder / name
        if not path.is_file():
            what = f"{name} is missing"
        elif path.stat().st_size != size:
            what = f"{name} has {path.stat().st_size:,} bytes instead of {size:,}"
        else:
            continue
        raise PreparationError(
            f"The model folder {folder} is damaged: {what}.",
            f"Delete the folder {folder}; the next start makes it again.",
        )


def check_source(folder: Path) -> None:
    """Raise PreparationError where a local Hugging Face folder cannot be read."""
    fix = f"Copy or download the model into {folder} again."
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError
    except (OSError, ValueError):
        raise PreparationError(f"The config.json in {folder} cannot be read.", fix) from None
    for path in sorted(folder.glob("*.safetensors")):
        if not _is_whole(path):
            raise PreparationError(f"The weights in {path} are damaged or cut short.", fix)


def _is_whole(path: Path) -> bool:
    """Whether a file is 8 bytes of length, a JSON header, and data of the size named there."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                return False
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False
    return bool(8 + length + end == size)


def move_into_place(built: Path, folder: Path) -> None:
    """Rename, repeatedly: on Windows a virus scanner may hold a new file open for a moment."""
    for attempt in range(20):
        try:
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(built, folder)
            return
        except PermissionError:
            if attempt == 19:
                raise
            time.sleep(0.25)


def remove(folder: Path) -> None:
    """Delete a folder; what cannot be deleted now is left for the next preparation."""
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2)
