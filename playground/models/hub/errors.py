"""Child side: turns what huggingface_hub and the network raise into a sentence and a fix.

No foreign text gets into a sentence, so that no token, signed address or proxy password does.
"""

from __future__ import annotations

import errno
from pathlib import Path
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

from playground.errors import PreparationError
from playground.models import failures
from playground.models.hub.files import Remote

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
_WINDOWS_MAX_PATH = 259


class Garbage(Exception):
    """An answer that no hub gives."""


class BadProxy(Exception):
    """Proxy settings that httpx cannot use."""


class Damaged(Exception):
    """A file that arrived with other bytes than the hub announced; says its name."""


def explain(error: Exception, remote: Remote, absent: list[str]) -> PreparationError | None:
    """What an error means, `absent` being what the cache lacks; None where nobody knows."""
    if isinstance(error, PreparationError):
        return error
    if isinstance(error, OfflineModeIsEnabled):
        return PreparationError(
            f"HF_HUB_OFFLINE switches the hub off, and {_absent(absent, remote)}.",
            "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to fetch it.",
        )
    if isinstance(error, HfHubHTTPError):
        return _refused(error, remote)
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return _unreachable(error, remote, absent)
    if isinstance(error, BadProxy):
        return _proxy("cannot be used as it is set")
    if isinstance(error, Garbage | FileMetadataError):
        return PreparationError(
            f"{_host()} answered something that no Hugging Face hub answers.",
            "Check HF_ENDPOINT and the network: a proxy, or the login page of a public network, "
            "may stand between.",
        )
    if isinstance(error, Damaged):
        return PreparationError(
            f"{error} of {remote.repo} arrived damaged: it is not the file that the hub announced.",
            "Start again, and it is fetched anew; if it stays so, a proxy or a mirror alters it.",
        )
    if isinstance(error, UnicodeEncodeError):  # httpx's, of the only header that a user fills
        return _wrong_token()
    return _local(error) if isinstance(error, OSError) and error.errno is not None else None


def disk_full(missing: int, remote: Remote) -> PreparationError:
    """With figures; `missing` is what is still to be fetched."""
    told = failures.disk_full(_cache(), missing, remote.title).message
    return PreparationError(
        told, "Free some space, or set HF_HOME to a folder on another disk, then start again."
    )


def is_disk_full(error: Exception) -> bool:
    """Whether a write failed for want of space (112: ERROR_DISK_FULL of Windows)."""
    return isinstance(error, OSError) and (
        error.errno in _FULL or getattr(error, "winerror", None) == 112
    )


def _refused(error: HfHubHTTPError, remote: Remote) -> PreparationError:
    """An answer of the hub that is not the file."""
    status = error.response.status_code
    page = f"{_endpoint()}/{remote.repo}"
    tokens = f"{_endpoint()}/settings/tokens"
    if isinstance(error, GatedRepoError):
        if get_token() is None:
            return PreparationError(
                f"{remote.repo} is gated: its makers want you to accept their terms first.",
                f"Accept them at {page}, make an access token at {tokens}, set HF_TOKEN to it and "
                "start again.",
            )
        return PreparationError(
            f"{remote.repo} is gated, and the account of your Hugging Face token has no access.",
            f"Accept the terms at {page} with that account (its makers may take time to agree), "
            "and let the token read gated repositories; then start again.",
        )
    if isinstance(error, RevisionNotFoundError):
        return PreparationError(
            f"{remote.repo} has no revision “{remote.revision}”.",
            f"Choose a branch, a tag or a commit that {page} has.",
        )
    if status == 401 and _blames_token(error):
        return _wrong_token()
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return PreparationError(
            f"There is no model “{remote.repo}” at {_host()}, or it is private.",
            f"Check the name; for a private model set HF_TOKEN to a token from {tokens} that may "
            "read it.",
        )
    if isinstance(error, DisabledRepoError):
        return PreparationError(f"{_host()} has disabled {remote.repo}.", "Choose another model.")
    if status == 407:
        return _proxy("asks for a user name and a password")
    if status == 429:
        return PreparationError(
            f"{_host()} has had too many requests from here and asks to wait.",
            "Start again in some minutes; with HF_TOKEN set the limit is higher.",
        )
    if status >= 500:
        return PreparationError(
            f"{_host()} has a fault of its own ({status}).",
            "Start again later; what has been fetched is kept.",
        )
    return PreparationError(
        f"{_host()} refuses to give {remote.repo} ({status}).",
        "Check HF_ENDPOINT, and that your Hugging Face token, if any, may read the model.",
    )


def _blames_token(error: HfHubHTTPError) -> bool:
    """The hub says "Invalid credentials in Authorization header" or "User Access Token … is
    expired"; for a private or missing model it says neither."""
    said = f"{error.response.headers.get('X-Error-Message', '')} {error.server_message or ''}"
    return get_token() is not None and ("credentials" in said or "Token" in said)


def _wrong_token() -> PreparationError:
    return PreparationError(
        f"{_host()} does not accept your Hugging Face token.",
        f"Set HF_TOKEN to a valid one from {_endpoint()}/settings/tokens, or log out "
        "(hf auth logout) and unset HF_TOKEN: public models need none.",
    )


def _unreachable(
    error: httpx.HTTPError | httpx.InvalidURL, remote: Remote, absent: list[str]
) -> PreparationError:
    """No answer at all."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return PreparationError(
            "The address in HF_ENDPOINT cannot be used.",
            "Give it as https://host, or unset it for huggingface.co.",
        )
    if isinstance(error, httpx.ProxyError):
        return _proxy("does not let us through")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return PreparationError(
            f"The certificate of {_host()} is signed by nobody this computer trusts.",
            "Where a company's proxy reads along, set SSL_CERT_FILE to its certificates.",
        )
    return PreparationError(
        f"{_host()} cannot be reached, and {_absent(absent, remote)}.",
        "Check the network connection and the proxy settings (HTTPS_PROXY), then start again; "
        "what has been fetched is kept.",
    )


def _proxy(what: str) -> PreparationError:
    return PreparationError(
        f"The network's proxy {what}.",
        "Check HTTPS_PROXY and HTTP_PROXY (http://user:password@host:port) and NO_PROXY; "
        "a SOCKS proxy needs the Python package socksio (pip install socksio).",
    )


def _local(error: OSError) -> PreparationError:
    """What this computer refused."""
    where = max(str(error.filename or _cache()), str(error.filename2 or ""), key=len)
    if len(where) > _WINDOWS_MAX_PATH and getattr(error, "winerror", None) in (3, 206):
        return PreparationError(
            "The path of the model's files is too long for Windows.",
            r"Set HF_HOME to a short folder, such as C:\hf, or enable long paths in Windows.",
        )
    return PreparationError(
        f"The Hugging Face cache cannot be used: {error.strerror or 'it failed'} ({where}).",
        "Make the folder writable, or set HF_HOME to another one.",
    )


def _absent(absent: list[str], remote: Remote) -> str:
    """`absent` is empty where the cache knows nothing of the model."""
    if not absent:
        return f"{remote.repo} is not in the cache ({_cache()})"
    more = len(absent) - 1
    others = f" and {more} more file{'s' if more > 1 else ''}" if more else ""
    verb = "are" if more else "is"
    return f"{absent[0]}{others} of {remote.repo} {verb} not in the cache ({_cache()})"


def _cache() -> Path:
    return Path(constants.HF_HUB_CACHE)


def _endpoint() -> str:
    """Without a user's name and password, for a person to open."""
    parts = urlsplit(constants.ENDPOINT)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _host() -> str:
    return urlsplit(_endpoint()).netloc or "The Hugging Face hub"
