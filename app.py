"""Serve the page: arguments → arena → page → launch."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from playground.cli.command import OK, WRONG_CALL, call, command, print_error, use_utf8
from playground.cli.options import Force, Lanes, Model, NoHistory
from playground.errors import PlaygroundError

# Read when gradio and huggingface_hub are imported, further down: they report to nobody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Otherwise matplotlib looks for a screen at Gradio's first event, which takes seconds.
os.environ.setdefault("MPLBACKEND", "agg")

PROGRAM = "python run.py"

Host = Annotated[
    str,
    typer.Option("--host", metavar="ADDRESS", help="0.0.0.0 lets other machines in."),
]
Port = Annotated[int, typer.Option("--port", metavar="N", help="Port of the page.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")]
Share = Annotated[bool, typer.Option("--share", help="Create a public link at gradio.live.")]
TrustRemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run a model's own code; only if you trust it."),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    use_utf8()
    try:
        page = command(serve, "Serve the AI PC Playground in the browser.")
        return call(page, PROGRAM, arguments)
    except PlaygroundError as error:
        print_error(error)
        return WRONG_CALL


def serve(
    host: Host = "127.0.0.1",
    port: Port = 7860,
    no_browser: NoBrowser = False,
    share: Share = False,
    lanes: Lanes = "",
    model: Model = "",
    force: Force = False,
    no_history: NoHistory = False,
    trust_remote_code: TrustRemoteCode = False,
) -> int:
    if trust_remote_code:
        os.environ["AIPC_TRUST_REMOTE_CODE"] = "1"  # the workers and converters inherit it
    # After the arguments, so that --help and a wrong call answer at once.
    from playground import models
    from playground.arena import Arena
    from playground.cli.lanes import chosen_lanes
    from playground.history import History
    from playground.page import layout
    from playground.page.serve import launch

    arena = Arena(None if no_history else History())
    arena.hosts.force = force
    closing = contextlib.ExitStack()
    closing.callback(arena.close)
    try:
        default = models.check(model or models.DEFAULT_MODEL)
        chosen = chosen_lanes(lanes) if lanes.strip(", ") else None
        page = layout.Page(arena, chosen, default)
        closing.callback(page.close)
        address = launch(page.blocks, host, port, share=share, browser=not no_browser)
        print(f"AI PC Playground: {address}  (Ctrl-C ends it)", flush=True)
        page.choices.begin()  # only now: the page is up before any device or model is ready
        while True:  # Ctrl-C interrupts a sleep; on Windows not an Event's wait, nor a lock's
            time.sleep(0.5)  # short: one that comes just before a sleep is heard after it
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: the workers end anyway
            closing.close()
    return OK


if __name__ == "__main__":
    sys.exit(main())
