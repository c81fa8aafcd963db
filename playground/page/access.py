"""Who may change something on this machine: the person who sits at it.

A visitor of a shared link or of `--host 0.0.0.0` may look and run prompts on what is ready.
"""

from __future__ import annotations

import ipaddress
import re

import gradio as gr

from playground.errors import BadInput

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # Host headers of a browser on this machine
PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")  # tunnels add these
ONLY_HERE = "Only the person at this machine may do this."
HOW = "They open this page there, by http://127.0.0.1."
_HOST = re.compile(rf"({'|'.join(map(re.escape, LOOPBACK))})(:\d+)?", re.IGNORECASE)


def is_owner(request: gr.Request) -> bool:
    """Whether a request comes from a browser on this machine that was not led here by a tunnel.

    The Host header alone can be written by anyone who reaches the port, hence the sender's address.
    """
    headers, sender = request.headers, request.client
    if sender is None or any(name in headers for name in PROXIED):
        return False
    return _HOST.fullmatch(headers.get("host", "")) is not None and is_loopback(sender.host)


def is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    inner = getattr(found, "ipv4_mapped", None)  # of a socket for both families
    return (inner or found).is_loopback


def only_owner(request: gr.Request) -> None:
    """Raises BadInput for everybody else."""
    if not is_owner(request):
        raise BadInput(ONLY_HERE, HOW)
