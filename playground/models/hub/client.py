"""Models from a Hugging Face hub, in the user's own cache.

The work is done by a child process with huggingface_hub (hub_child): `HF_HOME`, `HF_TOKEN`,
`HF_ENDPOINT`, `HF_HUB_OFFLINE` and the proxies are the user's; what lies in the cache is not
fetched again; what was begun is gone on with.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.errors import PreparationError
from playground.models import children, failures
from playground.models.hub.files import ALL, SMALL, Remote, What, parse_id
from playground.models.stage import Report, Stage

__all__ = ["ALL", "SMALL", "DownloadPlan", "Remote", "What", "fetch", "parse_id", "plan"]

MARK = "@hub "  # begins a line that the child tells us
_RATE_OVER_S = 10.0
_RATE_FROM_S = 2.0
_SWITCHES = ("HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # not ours to set, here
_FOLDERS = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN_PATH")


@dataclass(frozen=True)
class DownloadPlan:
    """What a fetch would do."""

    bytes_total: int
    bytes_missing: int  # of those, what is not in the cache, not even in part
    files: int
    commit: str  # what the revision is now, or was when the cache got it


def plan(
    remote: Remote,
    what: What,
    scratch: Path,
    log: Path,
    cancel: threading.Event | None = None,
) -> DownloadPlan:
    """Asks the hub for sizes, or the cache where the hub cannot be asked and the model is there.

    Raises PreparationError, and Cancelled soon after `cancel` is set.
    """
    return DownloadPlan(
        **_run("plan", remote, what, scratch, log, lambda told: None, cancel)["plan"]
    )


def fetch(
    remote: Remote,
    what: What,
    scratch: Path,
    log: Path,
    report: Report,
    cancel: threading.Event | None = None,
) -> Path:
    """Brings what is missing into the cache and returns the model's folder there.

    Raises PreparationError, and Cancelled soon after `cancel` is set; then, as after a loss of the
    network, the next fetch goes on where this one ended.
    """
    progress = DownloadProgress(remote.title)
    report(Stage("fetch", None, remote.title))

    def show(told: dict[str, Any]) -> None:
        if "checking" in told:
            report(progress.checking(told["checking"]))
        elif "done" in told:
            report(progress.at(told["done"], told["total"], time.monotonic()))

    return Path(_run("fetch", remote, what, scratch, log, show, cancel)["folder"])


class DownloadProgress:
    """Bytes and time left, from the rate of the last seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._seen: deque[tuple[float, int]] = deque()
        self._fraction = 0.0

    def at(self, done: int, total: int, now: float) -> Stage:
        """After `done` of the bytes that were missing at the start; `now` in seconds."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_OVER_S:
            self._seen.popleft()
        self._fraction = min(done / total, 1.0)
        parts = [self._title, _amount(done, total), self._time_left(total - done)]
        return Stage("fetch", self._fraction, ", ".join(filter(None, parts)))

    def checking(self, name: str) -> Stage:
        """While a file's checksum is computed."""
        return Stage("fetch", self._fraction, f"{self._title}, checking {name}")

    def _time_left(self, left: int) -> str:
        (began, had), (now, has) = self._seen[0], self._seen[-1]
        if now - began < _RATE_FROM_S or has <= had:
            return ""
        seconds = left * (now - began) / (has - had)
        if seconds < 60:
            return f"{seconds:.0f} s left"
        minutes = round(seconds / 60)
        return (
            f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"
        )


def _amount(done: int, total: int) -> str:
    """Both in the unit of the total."""
    if total >= 1e9:
        return f"{done / 1e9:.1f} of {total / 1e9:.1f} GB"
    unit, size = ("MB", 1e6) if total >= 1e6 else ("kB", 1e3)
    return f"{done / size:.0f} of {total / size:.0f} {unit}"


def _run(
    work: str,
    remote: Remote,
    what: What,
    scratch: Path,
    log: Path,
    show: Callable[[dict[str, Any]], None],
    cancel: threading.Event | None,
) -> dict[str, Any]:
    """All that the child told; each of its lines goes to `show` at once."""
    all_told: dict[str, Any] = {}

    def read(line: str) -> None:
        with suppress(ValueError):  # the child was ended in mid-line
            if line.startswith(MARK):
                told = json.loads(line.removeprefix(MARK))
                all_told.update(told)
                show(told)

    module = "playground.models.hub.child"
    arguments = [module, work, remote.repo, remote.revision, remote.folder, what]
    environ = environment(scratch)
    ended = children.run(arguments, scratch, log, cancel=cancel, on_line=read, environ=environ)
    if failed := all_told.get("failed"):
        raise PreparationError(failed["message"], failed["fix"])
    if ended.code != 0:
        raise failures.from_child(ended, scratch, 0, remote.title, log)
    return all_told


def environment(scratch: Path) -> dict[str, str]:
    """A child's, with the user's own hub; relative folders are from here, not from `scratch`."""
    made = children.environment(scratch)
    for name in _SWITCHES:
        made.pop(name, None)
    made.update({name: os.environ[name] for name in _SWITCHES if name in os.environ})
    for name in _FOLDERS:
        if made.get(name):
            made[name] = os.path.abspath(os.path.expanduser(os.path.expandvars(made[name])))
    quiet = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_SYMLINKS_WARNING")
    return {**made, **dict.fromkeys(quiet, "1")}
