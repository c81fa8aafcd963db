"""Child side: one file from the hub into a partial file, which grows until it is whole."""

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
from huggingface_hub.utils import build_hf_headers

from playground.models.hub.errors import Damaged

constants.DOWNLOAD_CHUNK_SIZE = 1 << 20  # what a kill can lose, and the step of the progress
_TRIES = 5


@dataclass(frozen=True)
class File:
    """One file of a commit as the hub announces it."""

    name: str
    size: int
    etag: str = ""  # "" for a file that lies in the cache, and so is the location
    location: str = ""  # often signed and good for an hour only


def download(announced: Callable[[], File], part: Path, checking: Callable[[], object]) -> None:
    """Brings `part` to the announced file, going on from what is there.

    Raises Damaged, and removes `part`, where the bytes are others. A part of an earlier start may
    be what is wrong (a power cut leaves holes), so that one is begun anew once.
    """
    resumed = part.exists()
    file = _receive(announced, part)
    checking()
    if not is_whole(part, file):
        part.unlink()
        if not resumed:
            raise Damaged(file.name)
        download(announced, part, checking)


def is_whole(path: Path, file: File) -> bool:
    """By size and by the checksum that the ETag is: the SHA-256 of an LFS file, else git's SHA-1
    of a blob, or the plain SHA-1. Any other ETag tells nothing of the content."""
    if path.stat().st_size != file.size:
        return False
    blob = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    known = {64: [hashlib.sha256()], 40: [blob, hashlib.sha1(usedforsecurity=False)]}
    digests = known.get(len(file.etag), []) if re.fullmatch("[0-9a-f]+", file.etag) else []
    with path.open("rb") as opened:
        while digests and (data := opened.read(1 << 20)):
            for digest in digests:
                digest.update(data)
    return not digests or file.etag in [digest.hexdigest() for digest in digests]


def _receive(announced: Callable[[], File], part: Path) -> File:
    """All that the server sends. http_get goes on after a lost connection, but not after a reset,
    nor with a new address when the signature of the old one has run out (403)."""
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
    """The user's token goes to the hub and not to the store that the hub sends us to."""
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if urlsplit(file.location).netloc != urlsplit(constants.ENDPOINT).netloc:
        headers.pop("authorization", None)
    return headers
