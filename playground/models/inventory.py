"""Which models are there, how big they are, and removing them."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from playground.errors import BadInput, PreparationError
from playground.models import catalogue, folders
from playground.models.catalogue import PRESETS, TOKENIZER
from playground.models.folders import Manifest
from playground.models.hub import uncache
from playground.models.making import source_fingerprint
from playground.paths import home


@dataclass(frozen=True)
class Part:
    """One thing that is there of a model."""

    format: str
    precision: str
    recipe: str  # "int4 sym, group 128, as published in …"
    bytes: int
    folder: Path
    elsewhere: bool  # in the hub's cache or the user's own folder: not counted as ours


@dataclass(frozen=True)
class StoredModel:
    """A model that something is there of, or a preset."""

    model: str  # what `remove`, `prepare` and requests take
    title: str
    parts: tuple[Part, ...]
    bytes: int  # ours on disk, also what an interrupted preparation left


def inventory() -> list[StoredModel]:
    """The presets, then whatever else was prepared. Cheap: it reads manifests and asks for sizes;
    a folder whose manifest cannot be read is counted in the bytes alone."""
    found = {folder.name: _item(folder) for folder in _model_folders()}
    presets = [found.pop(name, StoredModel(name, name, (), 0)) for name in PRESETS]
    others = [item for item in found.values() if item.parts or item.bytes]
    return presets + sorted(others, key=lambda item: (item.title.lower(), item.model))


def item_of(model: str) -> StoredModel:
    """What is there of one model; raises BadInput where nobody knows it."""
    return _find(model)[1]


def remove(model: str, *, cache: bool = False) -> int:
    """Remove all that was made of a model; the bytes freed. The user's own folders stay.

    cache: also its revisions in the Hugging Face cache, which other programs share. Raises
    BadInput for a model that nobody knows, and PreparationError while it is being made or where
    a program holds its files open, which Windows does not let us remove.
    """
    folder, item = _find(model)
    revisions = _revisions(folder, item)
    with ExitStack() as locks:
        for name in _names(folder):
            _lock(folder, name, item.title, locks)
        held = [name for name in _names(folder) if not _remove_part(folder, name)]
    if held:
        raise PreparationError(
            f"A program has files of {item.title} open: {', '.join(held)} could not be removed.",
            "Unload the lanes that use it, close other programs that may, and remove it again.",
        )
    freed = item.bytes - _bytes(folder)
    return freed + (uncache.remove(item.title, revisions) if cache and revisions else 0)


def mark(model: str) -> str:
    """Changes when what the model is made from does: a user's file at the same path, say."""
    return source_fingerprint(catalogue.resolve(model), "hf", "")


def _find(model: str) -> tuple[Path, StoredModel]:
    """A model's folder and what is in it. What it was made from may be gone since."""
    named = {model, str(Path(model).expanduser().resolve())} if model.strip() else set()
    for folder in _model_folders():
        item = _item(folder)
        if item.model in named:
            return folder, item
    source = catalogue.resolve(model)
    item = _item(source.folder)
    return source.folder, replace(item, model=source.name, title=source.title)


def _model_folders() -> list[Path]:
    root = home() / "models"
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _item(folder: Path) -> StoredModel:
    made = _manifests(folder)
    model, title = folder.name, folder.name
    if made and model not in PRESETS:
        model = next(iter(made.values())).model
        title = title.rpartition("-")[0]  # without the digest
    parts = [part for name, each in made.items() if (part := _part(folder / name, each))]
    return StoredModel(model, title, tuple(parts), _bytes(folder))


def _manifests(folder: Path) -> dict[str, Manifest]:
    found = {name: folders.read_manifest(folder / name) for name in _names(folder)}
    return {name: made for name, made in found.items() if made and _is_sound(made)}


def _is_sound(made: Manifest) -> bool:
    """Whether the fields are what they should be: a damaged file can be good JSON."""
    texts = (made.model, made.format, made.precision, made.recipe, made.at, made.published)
    return all(isinstance(text, str) for text in texts) and (
        isinstance(made.files, dict) and all(isinstance(n, int) for n in made.files.values())
    )


def _part(folder: Path, made: Manifest) -> Part | None:
    """None for a tokenizer, which no lane reads alone, and for what has gone from elsewhere."""
    if made.format == TOKENIZER or (made.at and not folders.all_there(Path(made.at), made)):
        return None
    return Part(
        format=made.format,
        precision=made.precision,
        recipe=made.recipe + (f", as published in {made.published}" if made.published else ""),
        bytes=sum(made.files.values()),
        folder=Path(made.at) if made.at else folder,
        elsewhere=bool(made.at),
    )


def _names(folder: Path) -> list[str]:
    """Of the folders that were made or begun: "hf" of hf, .hf.part and .hf.lock."""
    with suppress(OSError):
        found = [path for path in folder.iterdir() if path.is_dir() or path.suffix == ".lock"]
        return sorted({path.stem.lstrip(".") for path in found})
    return []


def _bytes(folder: Path) -> int:
    """Of all files in it; one that goes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                told = os.lstat(os.path.join(parent, name))
                total += told.st_size if stat.S_ISREG(told.st_mode) else 0
    return total


def _lock(folder: Path, name: str, title: str, locks: ExitStack) -> None:
    """Whoever makes a part of a model holds its lock."""
    try:
        locks.enter_context(FileLock(folder / f".{name}.lock").acquire(timeout=0))
    except Timeout:
        raise PreparationError(
            f"{title} is being made right now ({name}).",
            "Wait until it is ready, or cancel that, and remove it again.",
        ) from None


def _remove_part(folder: Path, name: str) -> bool:
    """All of it or, where Windows refuses as a program has a file open, nothing."""
    made, going = folder / name, folder / f".{name}.part"  # which a preparation clears away, too
    folders.remove(going)
    try:
        if made.is_dir():
            os.replace(made, going)
    except OSError:
        return False
    folders.remove(going)
    return not going.exists()


def _revisions(folder: Path, item: StoredModel) -> list[str]:
    """Of a hub's model, as repository@revision: those its makers have, those we once fetched."""
    try:
        source = catalogue.resolve(item.model)
    except BadInput:  # a local model that is gone
        return []
    if source.remote is None:
        return []
    found = {f"{each.repo}@{each.revision}" for each in (source.remote, *source.published.values())}
    for made in _manifests(folder).values():
        storage, _, inside = Path(made.at).as_posix().partition("/snapshots/")
        if inside:
            repo = storage.rpartition("/models--")[2].replace("--", "/")
            found.add(f"{repo}@{inside.partition('/')[0]}")
    return sorted(found)
