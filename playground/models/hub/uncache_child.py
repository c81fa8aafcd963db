"""Child process: removes revisions of models from the user's own Hugging Face cache.

Usage: python -m playground.models.hub.uncache_child REPO@REVISION ...
It prints a line of JSON: {"freed": bytes} or {"error", …}.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout
from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.file_download import repo_folder_name

from playground.models.folders import size_on_disk
from playground.models.hub.diagnosis import report
from playground.models.hub.errors import Code, HubError
from playground.models.hub.files import Remote, parse_id
from playground.workers.subprocesses import send


def remove(remotes: list[Remote], cache: Path) -> int:
    """Remove them and return the bytes freed. Raises HubError if a program uses one of them."""
    storages = {remote: _storage(remote, cache) for remote in remotes}
    existing = {folder for folder in storages.values() if folder.is_dir()}
    before = sum(map(size_on_disk, existing))
    with ExitStack() as locks:
        for folder in existing:
            for lock in sorted((cache / ".locks" / folder.name).glob("*.lock")):
                _hold(lock, folder, locks)
        commits = [_commit(remote, folder) for remote, folder in storages.items()]
        snapshots = [f / "snapshots" / c for f, c in zip(storages.values(), commits, strict=True)]
        if present := [path.name for path in snapshots if path.is_dir()]:
            scan_cache_dir(cache).delete_revisions(*present).execute()
        for folder in existing:  # of interrupted downloads
            for part in folder.glob("blobs/*.incomplete"):
                part.unlink()
    for left in filter(Path.is_dir, snapshots):
        raise HubError(Code.NOT_REMOVED, str(left.parents[1]))
    return before - sum(map(size_on_disk, existing))


def _storage(remote: Remote, cache: Path) -> Path:
    return cache / repo_folder_name(repo_id=remote.repo, repo_type="model")


def _commit(remote: Remote, storage: Path) -> str:
    """The commit of the revision when it was fetched; the revision itself if it is a commit."""
    try:
        return (storage / "refs" / remote.revision).read_text(encoding="utf-8").strip()
    except OSError:
        return remote.revision


def _hold(lock: Path, storage: Path, locks: ExitStack) -> None:
    try:
        locks.enter_context(FileLock(lock).acquire(timeout=0))
    except Timeout:
        repo = storage.name.removeprefix("models--").replace("--", "/")
        raise HubError(Code.BEING_FETCHED, repo) from None


def main() -> None:
    remotes = [remote for text in sys.argv[1:] if (remote := parse_id(text))]
    try:
        send({"freed": remove(remotes, Path(constants.HF_HUB_CACHE))})
    except HubError as error:
        send(report(error))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        send(report(HubError(Code.CACHE_READ_ONLY, reason)))


if __name__ == "__main__":
    main()
