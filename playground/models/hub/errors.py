"""Why a hub's models cannot be fetched or removed: the codes that the child processes report."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    # the hub
    "offline",
    "gated-without-token",
    "gated-without-access",
    "bad-token",
    "no-repository",
    "no-revision",
    "disabled",
    "too-many-requests",
    "server-fault",  # detail: the HTTP status
    "refused",  # detail: the HTTP status
    "not-a-hub",
    # the network
    "bad-endpoint",
    "bad-proxy-setting",
    "proxy-login",
    "proxy-refused",
    "bad-certificate",
    "unreachable",
    "damaged",  # detail: the file
    # the repository; detail: the repository, with the folder if there is one
    "no-folder",
    "no-files",
    "no-config",
    "gguf-only",
    "pickles-only",
    "no-weights",
    # the cache
    "disk-full",
    "long-path",
    "cache-unusable",  # detail: the reason and the path
    "cache-read-only",  # detail: the reason
    "being-fetched",  # detail: the repository
    "not-removed",  # detail: the folder that is left
]


class HubError(Exception):
    """A failure that `sentences.py` explains to the user."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail
