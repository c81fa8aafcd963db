"""Child process: fetch a model into the user's own Hugging Face cache, or plan to.

huggingface_hub 1.x restarts a file after each interruption: its partial files have random names and
are deleted on failure. The files are therefore fetched here with its private parts: its metadata
request, its download loop, which can resume, its locks and its cache layout. A partial file is
`blobs/<etag>.incomplete`, as in earlier versions. Plain HTTP, not Xet, which cannot resume.

Usage: python -m playground.models.hub.child plan|fetch REPO REVISION FOLDER small|all
It reports its progress and its result in lines of JSON: {"done", "total"}, {"checking"}, {"plan"},
{"folder"}, {"error", …}.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import httpx
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name
from huggingface_hub.utils import WeakFileLock, get_session  # type: ignore[attr-defined]

from playground.models.folders import move_into_place
from playground.models.hub import files as hub_files
from playground.models.hub.client import DownloadPlan
from playground.models.hub.diagnosis import diagnose, report
from playground.models.hub.download import File, download
from playground.models.hub.errors import Code, HubError
from playground.models.hub.files import ALL, Remote
from playground.workers.subprocesses import send

_REPORT_EVERY_S = 0.5
_PARALLEL_REQUESTS = 8  # for sizes
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"\w[\w.-]*", re.ASCII)  # it becomes the name of a file


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
        """The files that the cache lacks, as far as they are known."""
        return [name for name in self.names if not self.pointer(name).exists()]

    def find(self) -> None:
        """Get commit, files and sizes from the hub, or from the cache if that is complete."""
        try:
            self.commit, names = self._listed()
        except RevisionNotFoundError:
            raise
        except Exception as error:
            if not self._find_in_cache():
                raise
            print(f"Using the cache, since the hub cannot be reached: {type(error).__name__}")
        else:
            self.names = hub_files.choose(names, self.remote, self.what)
        with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
            self.files = list(pool.map(self._file, self.names))

    def plan(self) -> DownloadPlan:
        total = sum(file.size for file in self.files)
        missing = total - sum(map(self.present, self.files))
        return DownloadPlan(total, missing, len(self.files), self.commit)

    def fetch(self) -> None:
        """Fetch all files, one by one, and then let the revision point to the commit."""
        missing = self.plan().bytes_missing
        self.cache.mkdir(parents=True, exist_ok=True)
        if missing and os.name == "nt":
            self._try_longest_path()
        if shutil.disk_usage(self.cache).free < missing:
            raise HubError(Code.DISK_FULL)
        if missing:
            threading.Thread(target=self._report_progress, args=(missing,), daemon=True).start()
        for file in self.files:
            self._get(file)
        self._point_revision()
        if missing:
            send({"done": missing, "total": missing})

    def pointer(self, name: str) -> Path:
        """The path where readers of the cache find a file: a link to its blob, or the file."""
        return self.storage / "snapshots" / self.commit / name

    def blob(self, file: File) -> Path:
        return self.storage / "blobs" / file.etag

    def part(self, file: File) -> Path:
        return self.storage / "blobs" / f"{file.etag}.incomplete"

    def present(self, file: File) -> int:
        """Bytes on this disk, including those that another process has just fetched."""
        if self.pointer(file.name).exists() or self.blob(file).is_file():
            return file.size
        try:
            return min(self.part(file).stat().st_size, file.size)
        except OSError:
            return 0

    def _listed(self) -> tuple[str, list[str]]:
        """The commit of the revision on the hub, and the names of all its files."""
        repo, revision = self.remote.repo, self.remote.revision
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        try:
            get_session()
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise HubError(Code.BAD_PROXY_SETTING) from error
        try:
            info = HfApi().model_info(repo, revision=revision, timeout=timeout)
            commit = str(info.sha)
            names = [str(file.rfilename) for file in info.siblings or ()]
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise HubError(Code.NOT_A_HUB) from error
        if not _COMMIT.fullmatch(commit):
            raise HubError(Code.NOT_A_HUB)
        return commit, names

    def _find_in_cache(self) -> bool:
        """Look for a commit that was fetched before; return whether it is complete."""
        self.commit = self.remote.revision
        if not _COMMIT.fullmatch(self.commit):
            try:
                self.commit = self._reference().read_text(encoding="utf-8").strip()
            except OSError:
                return False
        if not self.folder.is_dir():
            return False
        own = [path.name for path in self.folder.iterdir() if path.is_file()]
        present = hub_files.small(own) + (hub_files.weights(own) if self.what == ALL else [])
        absent = hub_files.lacking(own, self.what)
        self.names = [self.remote.prefix + name for name in absent or present]
        return not absent

    def _file(self, name: str) -> File:
        """A file as the cache has it, or else as the hub announces it now."""
        with suppress(OSError):
            return File(name, self.pointer(name).stat().st_size)
        metadata = get_hf_file_metadata(hf_hub_url(self.remote.repo, name, revision=self.commit))
        if metadata.size is None or not _ETAG.fullmatch(metadata.etag or ""):
            raise HubError(Code.NOT_A_HUB)
        return File(name, metadata.size, metadata.etag or "", metadata.location)

    def _get(self, file: File) -> None:
        """Fetch one file; another process that wants it too waits for the lock and then has it."""
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
                download(announced, part, checking=partial(send, {"checking": file.name}))
            self._place(file)

    def _place(self, file: File) -> None:
        """Move a file into the cache like huggingface_hub: without symbolic links, not to blobs."""
        pointer, blob, part = self.pointer(file.name), self.blob(file), self.part(file)
        pointer.unlink(missing_ok=True)  # a link to a blob that no longer exists
        if are_symlinks_supported(self.cache):
            if not blob.is_file():
                move_into_place(part, blob)
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        else:
            if blob.is_file():
                shutil.copyfile(blob, part)
            move_into_place(part, pointer)

    def _try_longest_path(self) -> None:
        """Fail before the download if Windows refuses paths of 260 characters."""
        path = max(map(self.pointer, self.names), key=lambda path: len(str(path)))
        probe = path.with_name(f"~{path.name[1:]}")
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()

    def _reference(self) -> Path:
        return self.storage / "refs" / self.remote.revision

    def _point_revision(self) -> None:
        """Let the revision point to the commit, for use offline. Small files alone must not take it
        away from a complete model."""
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

    def _report_progress(self, missing: int) -> None:
        while True:
            send({"done": max(0, missing - self.plan().bytes_missing), "total": missing})
            time.sleep(_REPORT_EVERY_S)


def main() -> None:
    work, repo, revision, folder, what = sys.argv[1:]
    model = Model(Remote(repo, revision, folder), ALL if what == ALL else hub_files.SMALL)
    try:
        model.find()
        if work == "fetch":
            model.fetch()
            send({"folder": str(model.folder)})
        else:
            send({"plan": asdict(model.plan())})
    except Exception as error:
        traceback.print_exc()
        if cause := diagnose(error):
            send(report(cause, model.absent(), model.plan().bytes_missing))
        sys.exit(1)


if __name__ == "__main__":
    main()
