"""How the page is served: which hosts are allowed, what is disabled, what a browser may load."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import gradio as gr
import psutil
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.errors import BadInput, PlaygroundError
from playground.page.access import LOOPBACK
from playground.page.components import STATIC
from playground.paths import home

# Gradio's own scripts need inline and eval. Pictures, fonts and requests come from us alone, so
# nothing that a model writes can load or send anything.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "form-action 'none'; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
SHARE_HOSTS = ["*.gradio.live"]
# Shared styles first: those of a component may override them.
CSS = [STATIC / "base.css", *sorted(STATIC.glob("*/*.css"))]


class ContentPolicy:
    """Adds the content security policy to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._app(scope, receive, with_policy if scope["type"] == "http" else send)


def launch(page: gr.Blocks, host: str, port: int, *, share: bool, browser: bool) -> str:
    """Serve in the background and return the local address.

    Raises BadInput when the port is taken or the host is not this machine's.
    """
    check_free(host, port)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(home() / "gradio"))
    page.queue(max_size=64, api_open=True)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            share=share,
            inbrowser=browser,
            prevent_thread_lock=True,
            quiet=True,
            **settings(host, share),
        )
    except OSError as error:
        raise PlaygroundError(
            f"The page could not be served: {error}", "Try another port."
        ) from error
    return address


def settings(host: str, share: bool) -> dict[str, Any]:
    """Options of `launch`: restrictions and appearance."""
    middleware = [
        Middleware(ContentPolicy),
        Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(host, share)),
    ]
    return {
        "app_kwargs": {"middleware": middleware, "docs_url": None, "redoc_url": None},
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "allowed_paths": [],
        "max_file_size": "1kb",  # the page takes no uploads
        "ssr_mode": False,
        "theme": theme(),
        "css_paths": CSS,
    }


def theme() -> gr.themes.Base:
    """System fonts: nothing is loaded from outside."""
    sans = ["system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    mono = ["ui-monospace", "Cascadia Mono", "Consolas", "monospace"]
    return gr.themes.Default(primary_hue="indigo", neutral_hue="slate", font=sans, font_mono=mono)


def allowed_hosts(host: str, share: bool) -> list[str]:
    """The accepted Host headers; any other gets 400, which prevents DNS rebinding."""
    hosts = [*LOOPBACK]
    if host == "0.0.0.0":
        hosts += [socket.gethostname(), *own_addresses()]
    elif host not in hosts:
        hosts.append(host)
    return hosts + (SHARE_HOSTS if share else [])


def own_addresses() -> list[str]:
    """The IPv4 addresses of this machine."""
    interfaces = psutil.net_if_addrs().values()
    return [a.address for group in interfaces for a in group if a.family == socket.AF_INET]


def check_free(host: str, port: int) -> None:
    """Raises BadInput if the address cannot be listened on."""
    try:
        with socket.socket() as probe:
            if os.name != "nt":  # on Windows the option would let two programs share a port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OverflowError as error:
        raise BadInput(f"There is no port {port}.", "Use one from 1 to 65535.") from error
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise BadInput(
                f"“{host}” is not an address of this machine.",
                "Use --host 127.0.0.1 or 0.0.0.0.",
            ) from error
        raise BadInput(
            f"Port {port} of {host} cannot be used: {error.strerror}.",
            f"Stop the program that uses it, or start with --port {port + 1}.",
        ) from error
