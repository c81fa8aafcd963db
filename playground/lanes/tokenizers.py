"""One tokenizer a model for all lanes, made anew when the model's files are others."""

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
    """A tokenizer and what tells whether it still fits."""

    mark: str  # of what the model is made from
    files: list[tuple[Path, int]]  # and when each was written
    tokenizer: ChatTokenizer


_bytes = ByteTokenizer()
_kept: dict[str, _CachedTokenizer] = {}  # by model
_making = threading.Lock()


def tokenizer_of(lane: Lane, model: str) -> Tokenizer:
    """The tokenizer whose ids the lane takes. The same one as before unless what lies at the
    model's path has changed; when it was removed, too, for the lanes that have it loaded.

    Raises PreparationError where the model has no tokenizer yet, BadInput where nobody knows it.
    """
    if not lane.needs_model:
        return _bytes
    with _making:
        kept = _kept.get(model)
        try:
            mark, folder = models.mark(model), models.tokenizer_folder(model)
        except BadInput:
            if kept is None:
                raise
            return kept.tokenizer
        if folder is None:
            if kept is None or kept.mark != mark:
                text = f"{models.title(model)} has no tokenizer yet."
                raise PreparationError(text, "Run it again.")
            return kept.tokenizer
        files = _files(folder)
        if kept is None or (kept.mark, kept.files) != (mark, files):
            kept = _kept[model] = _CachedTokenizer(mark, files, ChatTokenizer(folder))
        return kept.tokenizer


def _files(folder: Path) -> list[tuple[Path, int]]:
    """What a chat tokenizer is made of; an index of weights may come later."""
    found = sorted([*folder.glob("*.json"), *folder.glob("*.jinja")])
    return [(path, _written(path)) for path in found if "safetensors" not in path.name]


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed this moment: whoever reads it next says so
        return 0
