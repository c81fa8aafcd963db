"""One tokenizer per model, shared by all lanes and read again when the model's files change."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from playground import models
from playground.errors import BadInput, PreparationError
from playground.lanes.lane import Lane
from playground.prompt import ByteTokenizer, ChatTokenizer, Tokenizer


@dataclass(frozen=True)
class _CachedTokenizer:
    """A tokenizer, and what must be unchanged for it to be current."""

    fingerprint: str  # of the files that the model is built from
    files: list[tuple[Path, int]]  # of the tokenizer, with the time of their last change
    tokenizer: ChatTokenizer


_bytes = ByteTokenizer()
_cache: dict[str, _CachedTokenizer] = {}  # by model
_lock = threading.Lock()


def tokenizer_of(lane: Lane, model: str) -> Tokenizer:
    """The tokenizer of the lane's model. The same object as before unless the model's files have
    changed; a removed model keeps its tokenizer for the lanes that have it loaded.

    Raises PreparationError where the model has no tokenizer yet, BadInput for an unknown model.
    """
    if not lane.needs_model:
        return _bytes
    with _lock:
        cached = _cache.get(model)
        try:
            fingerprint, folder = models.fingerprint(model), models.tokenizer_folder(model)
        except BadInput:
            if cached is None:
                raise
            return cached.tokenizer
        if folder is None:
            if cached is None or cached.fingerprint != fingerprint:
                text = f"{models.title(model)} has no tokenizer yet."
                raise PreparationError(text, "Run it again.")
            return cached.tokenizer
        files = _files(folder)
        if cached is None or (cached.fingerprint, cached.files) != (fingerprint, files):
            cached = _CachedTokenizer(fingerprint, files, ChatTokenizer(folder))
            _cache[model] = cached
        return cached.tokenizer


def _files(folder: Path) -> list[tuple[Path, int]]:
    """The files that a chat tokenizer reads; an index of weights may be added later."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*.jinja")])
    return [(path, _changed_at(path)) for path in files if "safetensors" not in path.name]


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # just deleted: reading it will fail with a sentence
        return 0
