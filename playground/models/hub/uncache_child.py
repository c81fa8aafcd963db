"""Child process: takes revisions of models out of the user's own Hugging Face cache.

Usage: python -m playground.models.hub.uncache_child REPO@REVISION ...
It tells the bytes that this freed, or why not, in a line of `hub.MARK` and JSON.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout
from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.file_download import repo_folder_name

from playground.errors import PreparationError
from playground.models.hub.client import MARK, Remote, parse_id


def remove(remotes: list[Remote], cache: Path) -> int:
    """Raises PreparationError where a program fetches one or has it open."""
    storages = {remote: _storage(remote, cache) for remote in remotes}
    there = {folder for folder in storages.values() if folder.is_dir()}
    before = sum(map(_bytes, there))
    with ExitStack() as locks:
        for folder in there:
            for lock in sorted((cache / ".locks" / folder.name).glob("*.lock")):
                _hold(lock, folder, locks)
        commits = [_commit(remote, folder) for remote, folder in storages.items()]
        snapshots = [f / "snapshots" / c for f, c in zip(storages.values(), commits, strict=True)]
        if present := [path.name for path in snapshots if path.is_dir()]:
            scan_cache_dir(cache).delete_revisions(*present).execute()
        for folder in there:  # of fetches that were interrupted
            for part in folder.glob("blobs/*.incomplete"):
                part.unlink()
    for left in filter(Path.is_dir, snapshots):
        raise PreparationError(
            f"Not all could be removed from the Hugging Face cache: {left} is left.",
            "Close the programs that use it and remove it again, or delete "
            f"{left.parents[1]} yourself.",
        )
    return before - sum(map(_bytes, there))


def _storage(remote: Remote, cache: Path) -> Path:
    return cache / repo_folder_name(repo_id=remote.repo, repo_type="model")


def _commit(remote: Remote, storage: Path) -> str:
    """What the revision was when it was fetched; itself where it is a commit."""
    try:
        return (storage / "refs" / remote.revision).read_text(encoding="utf-8").strip()
    except OSError:
        return remote.revision


def _hold(lock: Path, storage: Path, locks: ExitStack) -> None:
    try:
        locks.enter_context(FileLock(lock).acquire(timeout=0))
    except Timeout:
        raise PreparationError(
            f"A program is fetching {storage.name.removeprefix('models--').replace('--', '/')}.",
            "Wait until it has ended, or stop it, and remove the model again.",
        ) from None


def _bytes(folder: Path) -> int:
    """Of its files, each once: links to them count nothing."""
    found = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in found if not path.is_symlink())


def main() -> None:
    remotes = [found for text in sys.argv[1:] if (found := parse_id(text))]
    try:
        told: dict[str, object] = {"freed": remove(remotes, Path(constants.HF_HUB_CACHE))}
    except PreparationError as error:
        told = {"failed": error.as_dict()}
    except OSError as error:
        reason = error.strerror or type(error).__name__
        told = {
            "failed": {
                "message": f"The Hugging Face cache cannot be changed: {reason}.",
                "fix": f"Check that {constants.HF_HUB_CACHE} can be written.",
            }
        }
    print(MARK + json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
