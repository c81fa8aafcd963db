"""Making one folder of a model: once, beside its place, and renamed when whole."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from playground.errors import PreparationError
from playground.models import catalogue, children, convert, failures, folders, space
from playground.models.catalogue import TOKENIZER, Source
from playground.models.fetch import fetch
from playground.models.folders import Manifest
from playground.models.hub import client as hub
from playground.models.hub.client import Remote
from playground.models.stage import Report, Stage, raise_if_set
from playground.paths import home

_POLL = 0.2
_one_at_a_time = threading.Lock()  # conversions are memory-hungry
_now: Stage | None = None  # what the one that has its turn is doing, for those who wait


class Making:
    """One folder on its way; `precision` is "" where the format has none."""

    def __init__(
        self,
        source: Source,
        format: str,
        precision: str,
        report: Report,
        cancel: threading.Event | None,
    ) -> None:
        self.source, self.format, self.precision = source, format, precision
        self.cancel = cancel
        self._report = report
        self.folder = catalogue.made_folder(source, format, precision)
        self.part = self.folder.with_name(f".{self.folder.name}.part")
        self.log = home() / "logs" / f"prepare-{source.folder.name}-{self.folder.name}.log"
        title = f"{convert.TITLES[format]} {precision}".strip()
        self.what = f"{source.title} for {title}"
        self.needed = _bytes_needed(source, format)

    def make(self) -> None:
        """Waits for its turn and makes the folder, unless it is there or another makes it."""
        if self._is_made():
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with self._turn():
                folders.remove(self.part)
                if not self._is_made():
                    self._make()
        except OSError as error:
            raise failures.from_os(error, self.folder, self.needed, self.what) from error

    def _is_made(self) -> bool:
        made = folders.read_manifest(self.folder)
        return made is not None and is_current(made, self.source, self.format, self.precision)

    def _make(self) -> None:
        failures.check_space(self.folder, self.needed, self.what)
        self.log.unlink(missing_ok=True)
        self.part.mkdir()
        try:
            made = self.part / "made"
            manifest = self._files(made)
            raise_if_set(self.cancel)
            manifest.write(made)
            folders.move_into_place(made, self.folder)
        finally:
            folders.remove(self.part)

    def _files(self, made: Path) -> Manifest:
        """Makes the files in `made`, or only points from there to where they are."""
        source, remote = self.source, remote_of(self.source, self.format, self.precision)
        if remote is not None:
            what = hub.SMALL if self.format == TOKENIZER else hub.ALL
            at = hub.fetch(remote, what, self.part, self.log, self.report, self.cancel)
            published = "" if remote == source.remote else remote.repo
            return self._pointer(made, at, published)
        if source.path is not None and convert.family(self.format) == source.kind:
            return self._pointer(made, source.path)
        if self.format == "hf":
            self._from_gguf(made)
        else:
            self._convert(made)
        return self._manifest(made)

    def _from_gguf(self, made: Path) -> None:
        file = self.source.path
        if self.source.preset:
            file = fetch(self.source.preset, self.part, self.log, self.report, self.cancel)
        self.report(Stage("convert", None, "GGUF to Hugging Face"))
        self._run(["playground.models.gguf.convert", str(file), str(made)])
        if self.source.preset and file:
            file.unlink()

    def _convert(self, made: Path) -> None:
        title = f"{convert.TITLES[self.format]} {self.precision}"
        self.report(Stage("convert", None, title))
        origin = _hf_folder(self.source)
        self._run(convert.command(self.format, self.precision, origin, made, self.part))

    def _pointer(self, made: Path, at: Path, published: str = "") -> Manifest:
        """For files that stay where they are. What somebody else made is what it is, whatever the
        lane is called: raises PreparationError when that is another precision."""
        made.mkdir()
        manifest = self._manifest(at)
        found = manifest.recipe.partition(" ")[0].rstrip(",")
        if self.source.path and found not in (self.precision, "unknown"):
            raise PreparationError(
                f"The weights in {at} are {manifest.recipe}, not {self.precision}.",
                f"Choose a lane with {found}.",
            )
        return replace(manifest, at=str(at), published=published)

    def _manifest(self, folder: Path) -> Manifest:
        found = {"recipe": "", "weight_bytes": 0, "read_bytes": 0}
        if self.format != TOKENIZER:
            told = self.part / "recipe.json"
            family = convert.family(self.format)
            self._run(["playground.models.describe", family, str(folder), str(told)])
            found = json.loads(told.read_text(encoding="utf-8"))
        return Manifest(
            model=self.source.name,
            format=self.format,
            precision=self.precision,
            source=source_fingerprint(self.source, self.format, self.precision),
            versions=convert.versions(self.format),
            files=folders.file_sizes(folder),
            **found,  # type: ignore[arg-type]
        )

    def _run(self, arguments: list[str]) -> None:
        ended = children.run(arguments, self.part, self.log, cancel=self.cancel)
        if ended.code != 0:
            raise failures.from_child(ended, self.folder, self.needed, self.what, self.log)

    def report(self, stage: Stage) -> None:
        """Tells the one who asked, and those who wait."""
        global _now
        _now = stage
        self._report(stage)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This folder's lock, among processes, and then this process's only place."""
        global _now
        lock = FileLock(self.folder.with_name(f".{self.folder.name}.lock"))
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                self._wait()
        try:
            while not _one_at_a_time.acquire(blocking=False):
                self._wait()
            try:
                yield
            finally:
                _now = None
                _one_at_a_time.release()
        finally:
            lock.release()

    def _wait(self) -> None:
        raise_if_set(self.cancel)
        now = _now
        detail = now.detail if now else "another preparation is at work"
        self._report(Stage("wait", now.fraction if now else None, detail))
        time.sleep(_POLL)


def source_fingerprint(source: Source, format: str, precision: str) -> str:
    """Changes when what a folder is made from does."""
    if source.preset:
        return source.preset.sha256
    remote = remote_of(source, format, precision) or source.remote
    if remote:
        return f"{remote.repo}@{remote.revision}/{remote.folder}"
    assert source.path is not None
    return folders.fingerprint(source.path)


def is_current(made: Manifest, source: Source, format: str, precision: str) -> bool:
    """Whether a made folder still fits its source, and what it points to is still there."""
    if made.source != source_fingerprint(source, format, precision):
        return False
    return not made.at or folders.all_there(Path(made.at), made)


def remote_of(source: Source, format: str, precision: str) -> Remote | None:
    """Where a hub has this very folder; None when it is to be made here."""
    if format in ("hf", TOKENIZER):
        return source.remote
    return source.published.get((format, precision))


def _hf_folder(source: Source) -> Path:
    """The folder that the converters read; it is there by now."""
    if source.kind == "hf":
        assert source.path is not None
        return source.path
    folder = catalogue.made_folder(source, "hf", "")
    made = folders.read_manifest(folder)
    return Path(made.at) if made and made.at else folder


def _bytes_needed(source: Source, format: str) -> int:
    """On this disk while it is made, on the safe side; what a hub delivers goes to the user's cache
    for it and is counted there."""
    if source.preset and format == "hf":
        return source.preset.fetch_bytes + 4 * source.preset.parameters + space.SMALL_FILES
    if source.kind == "gguf" and format == "hf":
        assert source.path is not None
        return space.from_gguf(source.path.stat().st_size)[0] + space.SMALL_FILES
    if remote_of(source, format, "") or convert.family(format) == source.kind:
        return space.SMALL_FILES
    if source.preset:
        weights = 4 * source.preset.parameters
    else:
        weights = folders.weight_bytes(_hf_folder(source))
    return space.while_converting(format, weights) + space.SMALL_FILES
