"""A made folder on disk: its manifest, its completeness, and how it takes its place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from playground.errors import PreparationError

MANIFEST = "playground.json"
MADE_BY = 2  # raised when a folder made by an earlier version must be made again
WEIGHTS = (".safetensors", ".bin", ".data", ".onnx")


@dataclass(frozen=True)
class Manifest:
    """What a made folder is: written last, so its presence means complete."""

    model: str
    format: str
    precision: str
    recipe: str
    weight_bytes: int  # of the weight files
    read_bytes: int  # of those, what one token needs: without a table only looked up in
    source: str  # sha256 of the GGUF file, or a fingerprint of the source folder
    versions: dict[str, str]
    files: dict[str, int]  # sizes, to tell a damaged folder
    at: str = ""  # where the files are when they are not beside this: a hub's cache, say
    published: str = ""  # the repository it was taken from, when it was not made here
    made_by: int = MADE_BY

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        with (folder / MANIFEST).open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest, or None where there is none that this version can use."""
    try:
        made = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return made if made.made_by == MADE_BY else None


def file_sizes(folder: Path) -> dict[str, int]:
    """Every file of a folder but the manifest."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
    sizes.pop(MANIFEST, None)
    return sizes


def weight_bytes(folder: Path) -> int:
    """The size of a folder's weight files, without those of a tokenizer."""
    sizes = file_sizes(folder).items()
    return sum(n for name, n in sizes if name.endswith(WEIGHTS) and "tokenizer" not in name)


def fingerprint(model: Path) -> str:
    """Tells whether a local model, a folder or a file, has changed, without reading gigabytes."""
    digest = hashlib.sha256()
    for config in (model / "config.json", model / "genai_config.json"):
        if config.is_file():
            digest.update(config.read_bytes())
    names = (".safetensors", ".gguf", ".xml", ".onnx", ".data")
    files = model.iterdir() if model.is_dir() else [model]
    for path in sorted(path for path in files if path.suffix.lower() in names):
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def all_there(folder: Path, made: Manifest) -> bool:
    """Whether every file that was found there still is, whole."""
    try:
        return all((folder / name).stat().st_size == size for name, size in made.files.items())
    except OSError:
        return False


def check_made(folder: Path, made: Manifest) -> None:
    """A file that is gone or cut short since the folder was made, as a sentence."""
    for name, size in made.files.items():
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
    """A local Hugging Face folder that cannot be read, told before a converter chokes on it."""
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
    """A safetensors file is 8 bytes of length, a JSON header, and data of the size it names."""
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


def move_into_place(made: Path, folder: Path) -> None:
    """Renames; on Windows a virus scanner may hold a new file open for a moment."""
    for attempt in range(20):
        try:
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(made, folder)
            return
        except PermissionError:
            if attempt == 19:
                raise
            time.sleep(0.25)


def remove(folder: Path) -> None:
    """Removes a folder; what cannot be removed now is left for the next preparation."""
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2)
