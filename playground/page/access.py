"""Who may change something on this machine: its owner, the person who sits at it.

Guests, who come by a shared link or with `--host 0.0.0.0`, may look and run prompts on lanes that
are ready.
"""

from __future__ import annotations

import ipaddress
import re

import gradio as gr

from playground.errors import BadInput

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # Host headers of a browser on this machine
PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")  # tunnels add these
OWNER_ONLY = "Only the person at this machine may do this."
HOW = "They open this page there, at http://127.0.0.1."
_HOST = re.compile(rf"({'|'.join(map(re.escape, LOOPBACK))})(:\d+)?", re.IGNORECASE)


def is_owner(request: gr.Request) -> bool:
    """Whether a request comes from a browser on this machine, and not through a tunnel.

    The sender's address counts too, since anyone who reaches the port can write any Host header.
    """
    headers, sender = request.headers, request.client
    if sender is None or any(name in headers for name in PROXIED):
        return False
    return _HOST.fullmatch(headers.get("host", "")) is not None and is_loopback(sender.host)


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's own, such as 127.0.0.1 or ::ffff:127.0.0.1."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)  # of a socket for both families
    return (mapped or ip).is_loopback


def require_owner(request: gr.Request) -> None:
    """Raises BadInput for everybody else."""
    if not is_owner(request):
        raise BadInput(OWNER_ONLY, HOW)
