"""The models on this machine: which there are, their sizes, and removing them."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from playground.errors import BadInput, PreparationError
from playground.models import catalogue, folders
from playground.models.catalogue import PRESETS, TOKENIZER
from playground.models.folders import Manifest
from playground.models.hub import client as hub
from playground.paths import home


@dataclass(frozen=True)
class Part:
    """One folder of a model: its files in one format and precision."""

    format: str
    precision: str
    recipe: str  # "int4 sym, group 128, as published in …"
    bytes: int
    folder: Path
    elsewhere: bool  # in the hub's cache or the user's own folder: not counted in the model's size


@dataclass(frozen=True)
class StoredModel:
    """A preset, or another model that has files on this machine."""

    model: str  # what `remove`, `prepare` and requests take
    title: str
    parts: tuple[Part, ...]
    bytes: int  # in the data folder, with what an interrupted preparation left


def inventory() -> list[StoredModel]:
    """The presets, then all other models. It reads only manifests and file sizes; a folder without
    a readable manifest counts in the bytes but is no part."""
    stored = {folder.name: _stored(folder) for folder in _model_folders()}
    presets = [stored.pop(name, StoredModel(name, name, (), 0)) for name in PRESETS]
    others = [item for item in stored.values() if item.parts or item.bytes]
    return presets + sorted(others, key=lambda item: (item.title.lower(), item.model))


def item_of(model: str) -> StoredModel:
    """One model of the inventory. Raises BadInput for an unknown one."""
    return _find(model)[1]


def remove(model: str, *, cache: bool = False) -> int:
    """Delete everything built from a model and return the bytes freed. The user's own folders stay.

    cache: also delete its revisions in the Hugging Face cache, which other programs share. Raises
    BadInput for an unknown model, and PreparationError while it is being built or, on Windows,
    where a program has its files open.
    """
    folder, item = _find(model)
    revisions = _revisions(folder, item)
    with ExitStack() as locks:
        for name in _names(folder):
            _lock(folder, name, item.title, locks)
        in_use = [name for name in _names(folder) if not _remove_part(folder, name)]
    if in_use:
        raise PreparationError(
            f"A program has files of {item.title} open: {', '.join(in_use)} could not be removed.",
            "Unload the lanes that use it, close other programs that may, and remove it again.",
        )
    freed = item.bytes - folders.size_on_disk(folder)
    return freed + (hub.remove(item.title, revisions) if cache and revisions else 0)


def _find(model: str) -> tuple[Path, StoredModel]:
    """A model's folder and contents. The file that it was built from may no longer exist."""
    names = {model, str(Path(model).expanduser().resolve())} if model.strip() else set()
    for folder in _model_folders():
        item = _stored(folder)
        if item.model in names:
            return folder, item
    source = catalogue.resolve(model)
    item = _stored(source.folder)
    return source.folder, replace(item, model=source.name, title=source.title)


def _model_folders() -> list[Path]:
    root = home() / "models"
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _stored(folder: Path) -> StoredModel:
    manifests = _manifests(folder)
    model, title = folder.name, folder.name
    if manifests and model not in PRESETS:
        model = next(iter(manifests.values())).model
        title = title.rpartition("-")[0]  # without the digest
    parts = [p for name, manifest in manifests.items() if (p := _part(folder / name, manifest))]
    return StoredModel(model, title, tuple(parts), folders.size_on_disk(folder))


def _manifests(folder: Path) -> dict[str, Manifest]:
    manifests = {name: folders.read_manifest(folder / name) for name in _names(folder)}
    return {name: manifest for name, manifest in manifests.items() if manifest}


def _part(folder: Path, manifest: Manifest) -> Part | None:
    """None for a tokenizer, which no lane reads alone, and for files that are no longer there."""
    at = Path(manifest.at) if manifest.at else None
    if manifest.format == TOKENIZER or (at and not folders.all_there(at, manifest)):
        return None
    return Part(
        format=manifest.format,
        precision=manifest.precision,
        recipe=manifest.full_recipe,
        bytes=sum(manifest.files.values()),
        folder=at or folder,
        elsewhere=at is not None,
    )


def _names(folder: Path) -> list[str]:
    """The names of the folders that were built or begun: "hf" of hf, .hf.part and .hf.lock."""
    with suppress(OSError):
        paths = [path for path in folder.iterdir() if path.is_dir() or path.suffix == ".lock"]
        return sorted({path.stem.lstrip(".") for path in paths})
    return []


def _lock(folder: Path, name: str, title: str, locks: ExitStack) -> None:
    """Lock a folder, as its builder does. Raises PreparationError where it is being built."""
    try:
        locks.enter_context(FileLock(folder / f".{name}.lock").acquire(timeout=0))
    except Timeout:
        raise PreparationError(
            f"{title} is being made right now ({name}).",
            "Wait until it is ready, or cancel that, and remove it again.",
        ) from None


def _remove_part(folder: Path, name: str) -> bool:
    """Delete the folder as a whole; False, and nothing deleted, where a file is open on Windows."""
    built, doomed = folder / name, folder / f".{name}.part"  # which a preparation deletes, too
    folders.remove(doomed)
    try:
        if built.is_dir():
            os.replace(built, doomed)
    except OSError:
        return False
    folders.remove(doomed)
    return not doomed.exists()


def _revisions(folder: Path, item: StoredModel) -> list[str]:
    """A hub model's revisions, as repository@revision: the present ones and those downloaded."""
    try:
        source = catalogue.resolve(item.model)
    except BadInput:  # a local model that no longer exists
        return []
    if source.remote is None:
        return []
    remotes = (source.remote, *source.published.values())
    revisions = {f"{remote.repo}@{remote.revision}" for remote in remotes}
    for manifest in _manifests(folder).values():
        storage, _, inside = Path(manifest.at).as_posix().partition("/snapshots/")
        if inside:
            repo = storage.rpartition("/models--")[2].replace("--", "/")
            revisions.add(f"{repo}@{inside.partition('/')[0]}")
    return sorted(revisions)
