"""Child side: which code stands for what huggingface_hub, the network or the disk have raised."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from playground.models.failures import is_disk_full
from playground.models.hub.errors import Code, HubError

_WINDOWS_MAX_PATH = 259


def report(
    error: HubError, absent: Sequence[str] = (), bytes_missing: int = 0
) -> dict[str, object]:
    """The JSON object for the parent. absent: files that the cache lacks."""
    parts = urlsplit(constants.ENDPOINT)
    public = parts._replace(netloc=parts.netloc.rpartition("@")[2])  # without name and password
    return {
        "error": error.code.name,
        "detail": error.detail,
        "endpoint": public.geturl(),
        "cache": constants.HF_HUB_CACHE,
        "absent": list(absent),
        "bytes_missing": bytes_missing,
    }


def diagnose(error: Exception) -> HubError | None:
    """The cause of an exception; None if it is unknown."""
    if isinstance(error, HubError):
        return error
    if isinstance(error, OfflineModeIsEnabled):
        return HubError(Code.OFFLINE)
    if isinstance(error, HfHubHTTPError):
        return HubError(_refusal(error), str(error.response.status_code))
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return HubError(_no_answer(error))
    if isinstance(error, FileMetadataError):
        return HubError(Code.NOT_A_HUB)
    if isinstance(error, UnicodeEncodeError):  # httpx's, of the only header that a user fills
        return HubError(Code.BAD_TOKEN)
    return _local(error) if isinstance(error, OSError) and error.errno is not None else None


def _refusal(error: HfHubHTTPError) -> Code:
    """The hub has answered, but not with the file."""
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return Code.GATED_WITHOUT_TOKEN if get_token() is None else Code.GATED_WITHOUT_ACCESS
    if isinstance(error, RevisionNotFoundError):
        return Code.NO_REVISION
    if status == 401 and _blames_token(error):
        return Code.BAD_TOKEN
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return Code.NO_REPOSITORY
    if isinstance(error, DisabledRepoError):
        return Code.DISABLED
    if status == 407:
        return Code.PROXY_LOGIN
    if status == 429:
        return Code.TOO_MANY_REQUESTS
    return Code.SERVER_FAULT if status >= 500 else Code.REFUSED


def _blames_token(error: HfHubHTTPError) -> bool:
    """The hub says "Invalid credentials in Authorization header" or "User Access Token … is
    expired"; for a private or missing model it says neither."""
    text = f"{error.response.headers.get('X-Error-Message', '')} {error.server_message or ''}"
    return get_token() is not None and ("credentials" in text or "Token" in text)


def _no_answer(error: httpx.HTTPError | httpx.InvalidURL) -> Code:
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Code.BAD_ENDPOINT
    if isinstance(error, httpx.ProxyError):
        return Code.PROXY_REFUSED
    return Code.BAD_CERTIFICATE if "CERTIFICATE_VERIFY_FAILED" in str(error) else Code.UNREACHABLE


def _local(error: OSError) -> HubError:
    """Why the local disk or the cache cannot be used."""
    windows_code = getattr(error, "winerror", None)
    if is_disk_full(error):
        return HubError(Code.DISK_FULL)
    path = max(str(error.filename or constants.HF_HUB_CACHE), str(error.filename2 or ""), key=len)
    if len(path) > _WINDOWS_MAX_PATH and windows_code in (3, 206):
        return HubError(Code.LONG_PATH)
    return HubError(Code.CACHE_UNUSABLE, f"{error.strerror or 'it failed'} ({path})")
