"""Building one folder of a model: in a temporary folder beside it, renamed when complete."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from playground.errors import PreparationError
from playground.models import children, convert, failures, folders, space
from playground.models.catalogue import TOKENIZER
from playground.models.children import Workspace
from playground.models.fetch import fetch
from playground.models.folders import Manifest
from playground.models.hub import client as hub
from playground.models.hub.files import ALL, SMALL
from playground.models.stage import Report, Stage, raise_if_set
from playground.models.target import Target
from playground.paths import home

_POLL_S = 0.2
_one_at_a_time = threading.Lock()  # conversions need much memory
_current_stage: Stage | None = None  # of the build that holds the lock, shown to those who wait


class FolderBuilder:
    """Builds the folder of one target. Only one builder of a process works at a time."""

    def __init__(self, target: Target, report: Report, cancel: threading.Event | None) -> None:
        self.target, self.source, self.folder = target, target.source, target.folder
        self._report = report
        self.part = self.folder.with_name(f".{self.folder.name}.part")
        log = home() / "logs" / f"prepare-{self.source.folder.name}-{self.folder.name}.log"
        self.workspace = Workspace(self.part, log, cancel)
        self.what = f"{self.source.title} for {target.title}"
        self.needed = space.while_building(target, space.source_weights(target.source)[0])

    def build(self) -> None:
        """Build the folder when the other builds are finished, unless it is there already.

        Raises PreparationError and Cancelled; nothing half-built is left then.
        """
        if self.target.is_there:
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with self._exclusive():
                folders.remove(self.part)
                if not self.target.is_there:
                    self._build()
        except OSError as error:
            raise failures.from_os(error, self.folder, self.needed, self.what) from error

    def report(self, stage: Stage) -> None:
        """Tell the caller, and the builders that wait."""
        global _current_stage
        _current_stage = stage
        self._report(stage)

    def _build(self) -> None:
        if failures.free_bytes(self.folder) < self.needed:
            raise failures.disk_full(self.folder, self.needed, self.what)
        self.workspace.log.unlink(missing_ok=True)
        self.part.mkdir()
        try:
            built = self.part / "made"
            manifest = self._make_files(built)
            raise_if_set(self.workspace.cancel)
            manifest.write(built)
            folders.move_into_place(built, self.folder)
        finally:
            folders.remove(self.part)

    def _make_files(self, built: Path) -> Manifest:
        """Put the files into `built`, or only describe them where they can stay elsewhere."""
        target, remote = self.target, self.target.remote
        if remote is not None:
            what = SMALL if target.format == TOKENIZER else ALL
            at = hub.fetch(remote, what, self.workspace, self.report)
            published = "" if remote == self.source.remote else remote.repo
            return self._point_to(at, built, published)
        if target.local_path is not None:
            return self._point_to(target.local_path, built)
        if target.format == "hf":
            preset = self.source.preset
            file = fetch(preset, self.workspace, self.report) if preset else self.source.path
            self.report(Stage("convert", None, "GGUF to Hugging Face"))
            self._run(["playground.models.gguf.convert", str(file), str(built)])
        else:
            self.report(Stage("convert", None, target.title))
            origin = target.hf.location
            arguments = (target.format, target.precision, origin, built, self.part)
            self._run(convert.command(*arguments))
        return self._describe(built)

    def _point_to(self, at: Path, built: Path, published: str = "") -> Manifest:
        """Describe files that stay where they are.

        Raises PreparationError where the user's own folder has another precision than the lane.
        """
        built.mkdir()
        manifest = self._describe(at)
        actual = manifest.recipe.partition(" ")[0].rstrip(",")
        if self.source.path and actual not in (self.target.precision, "unknown"):
            raise PreparationError(
                f"The weights in {at} are {manifest.recipe}, not {self.target.precision}.",
                f"Choose a lane with {actual}.",
            )
        return manifest.model_copy(update={"at": str(at), "published": published})

    def _describe(self, folder: Path) -> Manifest:
        target = self.target
        weights = {"recipe": "", "weight_bytes": 0, "read_bytes": 0}
        if target.format != TOKENIZER:
            result = self.part / "recipe.json"
            family = convert.family(target.format)
            self._run(["playground.models.describe", family, str(folder), str(result)])
            weights = json.loads(result.read_text(encoding="utf-8"))
        return Manifest.model_validate(
            {
                "model": self.source.name,
                "format": target.format,
                "precision": target.precision,
                **weights,
                "source": target.fingerprint,
                "versions": convert.versions(target.format),
                "files": folders.file_sizes(folder),
            }
        )

    def _run(self, arguments: list[str]) -> None:
        ended = children.run(arguments, self.workspace)
        if ended.code != 0:
            log = self.workspace.log
            raise failures.from_child(ended, self.folder, self.needed, self.what, log)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold this folder's lock among processes, then the lock of all builds of this process."""
        global _current_stage
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
                _current_stage = None
                _one_at_a_time.release()
        finally:
            lock.release()

    def _wait(self) -> None:
        raise_if_set(self.workspace.cancel)
        other = _current_stage
        detail = other.detail if other else "another preparation is at work"
        self._report(Stage("wait", other.fraction if other else None, detail))
        time.sleep(_POLL_S)
