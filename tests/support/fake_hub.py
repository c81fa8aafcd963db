"""A Hugging Face hub on loopback, as far as downloads need one: a hub, and the store of large
files at another address that it sends clients to. Also answers as an HTTP proxy in front of itself.

`HF_ENDPOINT` set to `hub.url` makes huggingface_hub use it; `hub.requests` tells what came.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from huggingface_hub.utils.sha import git_hash

LARGE = 100_000  # bytes from which a file is kept in the store (LFS)
_BLOCK = 1 << 16
_AT_ONCE = struct.pack("HH" if os.name == "nt" else "ii", 1, 0)


@dataclass
class Repository:
    """What the hub has under one name."""

    files: dict[str, bytes]
    branch: str = "main"
    needs_token: str = ""  # its files are gated behind this token

    @property
    def commit(self) -> str:
        told = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        return hashlib.sha1(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True)
class Request:
    """One request; `server` is "hub" or "store", `host` is the one in an address for a proxy."""

    server: str
    method: str
    path: str
    token: str | None
    range: str | None
    host: str


@dataclass(repr=False)
class FakeHub:
    """The state of both servers; a test changes it between requests."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    valid_tokens: set[str] = field(default_factory=set)
    announced_bytes: int | None = None  # instead of a large file's true size
    answers: tuple[int, bytes] | None = None  # instead of anything else
    flip_a_byte: bool = False
    stop_after: int | None = None  # bytes of a large file, until `go_on` is set
    resets: int = 0  # so many times the store hangs up then
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    store_url: str = ""

    def asked(self, method: str, ending: str, server: str = "hub") -> list[Request]:
        """The requests to a server for paths with this ending."""
        wanted = (server, method)
        seen = [one for one in self.requests if (one.server, one.method) == wanted]
        return [one for one in seen if one.path.endswith(ending)]

    def sent(self, data: bytes) -> list[Request]:
        """The requests to the store for this content."""
        return self.asked("GET", hashlib.sha256(data).hexdigest(), "store")


@contextmanager
def serve() -> Iterator[FakeHub]:
    """Both servers on free ports of 127.0.0.1."""
    hub = FakeHub()
    servers = []
    for handler in (_Hub, _Store):
        bound = type(handler.__name__, (handler,), {"hub": hub})
        server = _Server(("127.0.0.1", 0), bound)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    hub.url = f"http://127.0.0.1:{servers[0].server_port}"
    hub.store_url = f"http://localhost:{servers[1].server_port}"  # another host to a client
    try:
        yield hub
    finally:
        hub.go_on.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: clients hang up in some tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub
    server_name = ""

    def do_GET(self) -> None:
        told = urlsplit(self.path)
        bearer = self.headers.get("Authorization")
        token = bearer.removeprefix("Bearer ") if bearer else None
        wanted = self.headers.get("Range")
        path = unquote(told.path)
        request = Request(self.server_name, self.command, path, token, wanted, told.netloc)
        self.hub.requests.append(request)
        if self.hub.answers:
            self.answer(self.hub.answers[0], {}, self.hub.answers[1])
        else:
            self.handle_request(request)

    do_HEAD = do_GET  # noqa: N815

    def handle_request(self, request: Request) -> None:
        raise NotImplementedError

    def answer(self, status: int, headers: dict[str, object], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": message}, b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Hub(_Handler):
    server_name = "hub"

    def handle_request(self, request: Request) -> None:
        if request.token and request.token not in self.hub.valid_tokens:
            return self.refuse(401, "", "Invalid credentials in Authorization header")
        listing = re.fullmatch(r"/api/models/(.+?)(?:/revision/(.+))?", request.path)
        wanted = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", request.path)
        found = listing or wanted
        repository = self.hub.repositories.get(found[1]) if found else None
        if not found or not repository:
            return self.refuse(401 if not request.token else 404, "RepoNotFound")
        if (found[2] or "main") not in (repository.branch, repository.commit):
            return self.refuse(404, "RevisionNotFound")
        if listing:
            return self._list(found[1], repository)
        if repository.needs_token and request.token != repository.needs_token:
            return self.refuse(403 if request.token else 401, "GatedRepo")
        return self._resolve(found[3], repository)

    def _list(self, name: str, repository: Repository) -> None:
        siblings = [{"rfilename": file} for file in repository.files]
        told = {"id": name, "sha": repository.commit, "siblings": siblings}
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _resolve(self, file: str, repository: Repository) -> None:
        if (data := repository.files.get(file)) is None:
            return self.refuse(404, "EntryNotFound")
        commit = {"X-Repo-Commit": repository.commit}
        if len(data) < LARGE:
            return self.answer(200, {**commit, "ETag": f'"{git_hash(data)}"'}, data)
        sha256 = hashlib.sha256(data).hexdigest()
        linked = {
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": self.hub.announced_bytes or len(data),
            "Location": f"{self.hub.store_url}/{sha256}?Signature=secret-for-an-hour",
        }
        return self.answer(302, {**commit, **linked})


class _Store(_Handler):
    server_name = "store"

    def handle_request(self, request: Request) -> None:
        every = [data for one in self.hub.repositories.values() for data in one.files.values()]
        large = {hashlib.sha256(data).hexdigest(): data for data in every if len(data) >= LARGE}
        data = large[request.path[1:]]
        if self.hub.flip_a_byte:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = int(request.range.removeprefix("bytes=").rstrip("-")) if request.range else 0
        self.send_response(206 if request.range else 200)
        if request.range:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        for at in range(start, len(data), _BLOCK):
            self._hold(at)
            self.wfile.write(data[at : at + _BLOCK])

    def _hold(self, at: int) -> None:
        if self.hub.stop_after is not None and at >= self.hub.stop_after:
            self.hub.go_on.wait(60)
            if self.hub.resets:
                self.hub.resets -= 1
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                socket.close(self.connection.detach())  # a reset, not an end
