"""Child process: a model's files into the user's own Hugging Face cache, or what that would take.

huggingface_hub 1.x begins a file anew after each interruption (its partial files bear a random
name and are deleted on failure), so the files are fetched here with its own parts: its metadata
request, its download loop, which can resume, its locks and its cache layout. A partial file is
`blobs/<etag>.incomplete`, as earlier versions had it. Plain HTTP, not Xet, which cannot resume.

Usage: python -m playground.models.hub.child plan|fetch REPO REVISION FOLDER small|all
It tells what it does and how it ended in lines of `MARK` and JSON.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name
from huggingface_hub.utils import WeakFileLock, get_session

from playground.models.folders import move_into_place
from playground.models.hub import files as hub_files
from playground.models.hub.client import MARK
from playground.models.hub.download import File, download
from playground.models.hub.errors import BadProxy, Garbage, disk_full, explain, is_disk_full
from playground.models.hub.files import ALL, Remote

_TELL_EVERY_S = 0.5
_AT_ONCE = 8  # requests for sizes
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"\w[\w.-]*", re.ASCII)  # it becomes a file's name


def tell(**what: Any) -> None:
    """A line to the parent."""
    print(MARK + json.dumps(what), flush=True)


class Model:
    """One model in the hub and in the cache."""

    def __init__(self, remote: Remote, what: hub_files.What) -> None:
        self.remote, self.what = remote, what
        self.cache = Path(constants.HF_HUB_CACHE)
        folder = repo_folder_name(repo_id=remote.repo, repo_type="model")
        self.storage = self.cache / folder
        self.locks = self.cache / ".locks" / folder
        self.commit = ""
        self.names: list[str] = []
        self.files: list[File] = []

    @property
    def folder(self) -> Path:
        return self.storage / "snapshots" / self.commit / self.remote.folder

    def absent(self) -> list[str]:
        """What the cache lacks, as far as is known."""
        return [name for name in self.names if not self.pointer(name).exists()]

    def find(self) -> None:
        """Commit, files and sizes from the hub, or from the cache where that has it all."""
        try:
            self.commit, names = self._listed()
        except RevisionNotFoundError:
            raise
        except Exception as error:
            if not self._find_in_cache():
                raise
            print(f"Taken from the cache, as the hub could not be asked: {type(error).__name__}")
        else:
            self.names = hub_files.choose(names, self.remote, self.what)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            self.files = list(pool.map(self._file, self.names))

    def plan(self) -> dict[str, Any]:
        """The fields of hub.DownloadPlan."""
        total = sum(file.size for file in self.files)
        missing = total - sum(map(self.present, self.files))
        return {
            "bytes_total": total,
            "bytes_missing": missing,
            "files": len(self.files),
            "commit": self.commit,
        }

    def fetch(self) -> None:
        """All files, one after the other; the revision points to the commit when all are there."""
        missing = int(self.plan()["bytes_missing"])
        self.cache.mkdir(parents=True, exist_ok=True)
        if missing and os.name == "nt":
            self._try_longest_path()
        if shutil.disk_usage(self.cache).free < missing:
            raise disk_full(missing, self.remote)
        if missing:
            threading.Thread(target=self._tell_progress, args=(missing,), daemon=True).start()
        for file in self.files:
            self._get(file)
        self._point_revision()
        if missing:
            tell(done=missing, total=missing)

    def pointer(self, name: str) -> Path:
        """Where the readers of the cache look for a file: a link to its blob, or the file."""
        return self.storage / "snapshots" / self.commit / name

    def blob(self, file: File) -> Path:
        return self.storage / "blobs" / file.etag

    def part(self, file: File) -> Path:
        return self.storage / "blobs" / f"{file.etag}.incomplete"

    def present(self, file: File) -> int:
        """Bytes on this disk, also those that another process has just fetched."""
        if self.pointer(file.name).exists() or self.blob(file).is_file():
            return file.size
        try:
            return min(self.part(file).stat().st_size, file.size)
        except OSError:
            return 0

    def _listed(self) -> tuple[str, list[str]]:
        """The commit that the revision is now, and the names of all its files."""
        repo, revision = self.remote.repo, self.remote.revision
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        try:
            get_session()
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise BadProxy from error
        try:
            found = HfApi().model_info(repo, revision=revision, timeout=timeout)
            commit = str(found.sha)
            names = [str(file.rfilename) for file in found.siblings or ()]
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise Garbage("no description of a model") from error
        if not _COMMIT.fullmatch(commit):
            raise Garbage("no commit")
        return commit, names

    def _find_in_cache(self) -> bool:
        """A commit that was fetched before; whether it is whole."""
        self.commit = self.remote.revision
        if not _COMMIT.fullmatch(self.commit):
            try:
                self.commit = self._reference().read_text(encoding="utf-8").strip()
            except OSError:
                return False
        if not self.folder.is_dir():
            return False
        own = [path.name for path in self.folder.iterdir() if path.is_file()]
        found = hub_files.small(own) + (hub_files.weights(own) if self.what == ALL else [])
        absent = hub_files.lacking(own, self.what)
        prefix = f"{self.remote.folder}/" if self.remote.folder else ""
        self.names = [prefix + name for name in absent or found]
        return not absent

    def _file(self, name: str) -> File:
        """A file as the hub announces it now, or as the cache has it."""
        with suppress(OSError):
            return File(name, self.pointer(name).stat().st_size)
        told = get_hf_file_metadata(hf_hub_url(self.remote.repo, name, revision=self.commit))
        if told.size is None or not _ETAG.fullmatch(told.etag or ""):
            raise Garbage("a file without size or ETag")
        return File(name, told.size, told.etag or "", told.location)

    def _get(self, file: File) -> None:
        """One file; whoever asks for it at the same time waits for the lock and then has it."""
        pointer, part = self.pointer(file.name), self.part(file)
        if pointer.exists():
            return
        for folder in (self.locks, part.parent, pointer.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(self.locks / f"{file.etag}.lock"):
            if pointer.exists():
                return
            if not self.blob(file).is_file():
                announced = partial(self._file, file.name)
                download(announced, part, checking=partial(tell, checking=file.name))
            self._place(file)

    def _place(self, file: File) -> None:
        """Into the cache as huggingface_hub does it: without symbolic links there are no blobs."""
        pointer, blob, part = self.pointer(file.name), self.blob(file), self.part(file)
        pointer.unlink(missing_ok=True)  # a link whose blob is gone
        if are_symlinks_supported(self.cache):
            if not blob.is_file():
                move_into_place(part, blob)
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        else:
            if blob.is_file():
                shutil.copyfile(blob, part)
            move_into_place(part, pointer)

    def _try_longest_path(self) -> None:
        """Windows often refuses a path of 260 characters: better before the work than after."""
        longest = max(map(self.pointer, self.names), key=lambda path: len(str(path)))
        probe = longest.with_name(f"~{longest.name[1:]}")
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()

    def _reference(self) -> Path:
        return self.storage / "refs" / self.remote.revision

    def _point_revision(self) -> None:
        """For those who come offline. Small files alone must not take it from a whole model."""
        reference = self._reference()
        if self.remote.revision == self.commit or (self.what != ALL and reference.exists()):
            return
        with suppress(OSError):
            if reference.read_text(encoding="utf-8") == self.commit:
                return
        reference.parent.mkdir(parents=True, exist_ok=True)
        new = reference.with_name(f"{reference.name}.{os.getpid()}.tmp")
        new.write_text(self.commit, encoding="utf-8")
        os.replace(new, reference)

    def _tell_progress(self, missing: int) -> None:
        while True:
            tell(done=max(0, missing - int(self.plan()["bytes_missing"])), total=missing)
            time.sleep(_TELL_EVERY_S)


def main() -> None:
    work, repo, revision, folder, what = sys.argv[1:]
    model = Model(Remote(repo, revision, folder), ALL if what == ALL else hub_files.SMALL)
    try:
        model.find()
        if work == "fetch":
            model.fetch()
            tell(folder=str(model.folder))
        else:
            tell(plan=model.plan())
    except Exception as error:
        traceback.print_exc()
        if is_disk_full(error):
            error = disk_full(int(model.plan()["bytes_missing"]), model.remote)
        if told := explain(error, model.remote, model.absent()):
            tell(failed=told.as_dict())
        sys.exit(1)


if __name__ == "__main__":
    main()
