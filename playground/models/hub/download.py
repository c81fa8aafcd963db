"""Child side: downloads one file of a hub into a partial file, and resumes after interruptions."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from playground.models.hub.errors import Code, HubError

constants.DOWNLOAD_CHUNK_SIZE = 1 << 20  # a kill loses at most this much
_TRIES = 5


@dataclass(frozen=True)
class File:
    """One file of a commit as the hub announces it."""

    name: str
    size: int
    etag: str = ""  # "" for a file in the cache, as is the location
    location: str = ""  # often signed and valid for an hour only


def download(announced: Callable[[], File], part: Path, checking: Callable[[], object]) -> None:
    """Complete `part` to the announced file.

    Raises HubError, and removes `part`, if the checksum differs. A part of an earlier start may be
    the cause (a power failure leaves holes); that one is fetched again once.
    """
    resumed = part.exists()
    file = _receive(announced, part)
    checking()
    if not is_whole(part, file):
        part.unlink()
        if not resumed:
            raise HubError(Code.DAMAGED, file.name)
        download(announced, part, checking)


def is_whole(path: Path, file: File) -> bool:
    """Whether size and checksum match. The ETag is the SHA-256 of an LFS file, or git's SHA-1 of a
    blob, or the plain SHA-1; any other ETag says nothing about the content."""
    if path.stat().st_size != file.size:
        return False
    blob = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    by_length = {64: [hashlib.sha256()], 40: [blob, hashlib.sha1(usedforsecurity=False)]}
    digests = by_length.get(len(file.etag), []) if re.fullmatch("[0-9a-f]+", file.etag) else []
    with path.open("rb") as opened:
        while digests and (data := opened.read(1 << 20)):
            for digest in digests:
                digest.update(data)
    return not digests or file.etag in [digest.hexdigest() for digest in digests]


def _receive(announced: Callable[[], File], part: Path) -> File:
    """Receive all bytes. http_get resumes after a lost connection, but not after a reset, nor with
    a new address when the signature of the old one has expired (403)."""
    tries = _TRIES
    while True:
        file = announced()
        with part.open("ab") as opened:
            had = opened.tell()
            if had > file.size:
                opened.truncate(had := 0)
            try:
                if had < file.size:
                    http_get(file.location, opened, resume_size=had, headers=_headers(file))
                opened.flush()
                os.fsync(opened.fileno())
                return file
            except (httpx.ReadError, HfHubHTTPError) as error:
                if isinstance(error, HfHubHTTPError) and error.response.status_code != 403:
                    raise
                tries = tries - 1 if opened.tell() <= had else _TRIES
                if not tries:
                    raise
        time.sleep(1)


def _headers(file: File) -> dict[str, str]:
    """The user's token is sent to the hub, but not to the store that the hub redirects to."""
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if urlsplit(file.location).netloc != urlsplit(constants.ENDPOINT).netloc:
        headers.pop("authorization", None)
    return headers
