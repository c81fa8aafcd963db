"""Fetches models from a Hugging Face hub into the user's own cache, and removes them.

A child process (child.py) does the work with huggingface_hub: `HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT`,
`HF_HUB_OFFLINE` and the proxies are the user's. Files in the cache are not fetched again, and an
interrupted download is resumed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.models import children, failures
from playground.models.children import Workspace
from playground.models.hub import sentences
from playground.models.hub.files import Remote, What
from playground.models.stage import Report, Stage
from playground.paths import home
from playground.workers.subprocesses import JsonObject, json_object

_RATE_OVER_S = 10.0
_RATE_FROM_S = 2.0
_SWITCHES = ("HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # here, the user's own
_FOLDERS = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN_PATH")


@dataclass(frozen=True)
class DownloadPlan:
    """What a fetch would do."""

    bytes_total: int
    bytes_missing: int  # that the cache does not have, not even in part
    files: int
    commit: str  # of the revision now, or when it was cached


def plan(remote: Remote, what: What, workspace: Workspace) -> DownloadPlan:
    """Ask the hub for sizes, or a complete cache if the hub cannot be reached.

    Raises PreparationError, and Cancelled soon after `cancel` is set.
    """
    return DownloadPlan(**_run(_command("plan", remote, what), remote, workspace)["plan"])


def fetch(remote: Remote, what: What, workspace: Workspace, report: Report) -> Path:
    """Fetch what the cache lacks, and return the model's folder there.

    Raises PreparationError, and Cancelled soon after `cancel` is set. The next fetch resumes where
    this one ended, also after a loss of the network.
    """
    progress = DownloadProgress(remote.title)
    report(Stage("fetch", None, remote.title))

    def show(message: JsonObject) -> None:
        if "checking" in message:
            report(progress.checking(message["checking"]))
        elif "done" in message:
            report(progress.at(message["done"], message["total"], time.monotonic()))

    result = _run(_command("fetch", remote, what), remote, workspace, show)
    return Path(result["folder"])


class DownloadProgress:
    """Bytes and remaining time, from the rate of the last seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._points: deque[tuple[float, int]] = deque()
        self._fraction = 0.0

    def at(self, done: int, total: int, now: float) -> Stage:
        """The stage after `done` of the `total` bytes missing at the start; `now` in seconds."""
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] >= _RATE_OVER_S:
            self._points.popleft()
        self._fraction = min(done / total, 1.0)
        parts = [self._title, _amount(done, total), self._time_left(total - done)]
        return Stage("fetch", self._fraction, ", ".join(filter(None, parts)))

    def checking(self, name: str) -> Stage:
        """The stage while a file's checksum is computed."""
        return Stage("fetch", self._fraction, f"{self._title}, checking {name}")

    def _time_left(self, left: int) -> str:
        (start, done_before), (now, done) = self._points[0], self._points[-1]
        if now - start < _RATE_FROM_S or done <= done_before:
            return ""
        seconds = left * (now - start) / (done - done_before)
        if seconds < 60:
            return f"{seconds:.0f} s left"
        minutes = round(seconds / 60)
        return (
            f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"
        )


def _amount(done: int, total: int) -> str:
    """Both numbers in the unit of the total."""
    if total >= 1e9:
        return f"{done / 1e9:.1f} of {total / 1e9:.1f} GB"
    unit, size = ("MB", 1e6) if total >= 1e6 else ("kB", 1e3)
    return f"{done / size:.0f} of {total / size:.0f} {unit}"


def remove(title: str, revisions: Sequence[str]) -> int:
    """Remove revisions (repository@revision) from the cache and return the bytes freed.

    Raises PreparationError.
    """
    log = home() / "logs" / f"remove-{title}.log"
    command = ["playground.models.hub.uncache_child", *revisions]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return int(_run(command, Remote(title), Workspace(Path(folder), log))["freed"])


def _command(work: str, remote: Remote, what: What) -> list[str]:
    child = "playground.models.hub.child"
    return [child, work, remote.repo, remote.revision, remote.folder, what]


def _run(
    command: Sequence[str],
    remote: Remote,
    workspace: Workspace,
    show: Callable[[JsonObject], None] = lambda message: None,
) -> JsonObject:
    """Run a child with the user's own hub, and return all of its messages together.

    show: gets each message at once. Raises PreparationError if it reports an error or fails.
    """
    result: JsonObject = {}

    def read(line: str) -> None:
        if message := json_object(line):
            result.update(message)
            show(message)

    environ = environment(workspace.scratch)
    ended = children.run(command, workspace, on_line=read, environ=environ)
    if "error" in result:
        raise sentences.explain(result, remote)
    if ended.code != 0:
        raise failures.from_child(ended, workspace.scratch, 0, remote.title, workspace.log)
    return result


def environment(scratch: Path) -> dict[str, str]:
    """The environment of a child that uses the user's own hub. Relative folders in it refer to this
    process's working directory, not to `scratch`."""
    environ = {k: v for k, v in children.environment(scratch).items() if k not in _SWITCHES}
    environ |= {name: os.environ[name] for name in _SWITCHES if name in os.environ}
    for name in _FOLDERS:
        if environ.get(name):
            environ[name] = os.path.abspath(os.path.expanduser(os.path.expandvars(environ[name])))
    quiet = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_SYMLINKS_WARNING")
    return {**environ, **dict.fromkeys(quiet, "1")}
