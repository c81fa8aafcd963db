"""Serve the page: arguments → arena → page → launch."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time

# Before gradio is imported, which reads them: nothing is told to anyone.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Or Gradio, at the first event, has matplotlib look for a screen, which takes seconds.
os.environ.setdefault("MPLBACKEND", "agg")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python run.py", description="Serve the AI PC Playground in the browser."
    )
    found.add_argument("--host", default="127.0.0.1", help="127.0.0.1 unless told")
    found.add_argument("--port", type=int, default=7860, help="7860 unless told")
    found.add_argument("--no-browser", action="store_true", help="do not open a browser")
    found.add_argument("--share", action="store_true", help="make a public link by gradio.live")
    found.add_argument("--lanes", default="", metavar="A,B", help="such as fake, or pytorch,fake")
    found.add_argument(
        "--model", default="", metavar="M", help="a preset, a Hugging Face id, a folder or a GGUF"
    )
    found.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run code that a model's folder brings along; only for models you trust",
    )
    found.add_argument(
        "--force", action="store_true", help="load a model even if memory seems too small for it"
    )
    found.add_argument(
        "--no-history", action="store_true", help="do not keep what is asked and measured"
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.trust_remote_code:
        os.environ["AIPC_TRUST_REMOTE_CODE"] = "1"  # the workers and converters inherit it
    # After the arguments, so that --help and a wrong call answer at once.
    from playground import cli, models
    from playground.arena import Arena
    from playground.cli import render
    from playground.errors import PlaygroundError
    from playground.history import History
    from playground.page import layout, serve

    render.use_utf8()
    arena = Arena(None if options.no_history else History())
    arena.hosts.force = options.force
    closing = contextlib.ExitStack()
    closing.callback(arena.close)
    try:
        cli.log_to_file()
        model = models.check(options.model or models.DEFAULT_MODEL)
        chosen = cli.chosen_lanes(options) if options.lanes.strip(", ") else None
        page = layout.Page(arena, chosen, model)
        closing.callback(page.close)
        address = serve.launch(
            page.blocks,
            options.host,
            options.port,
            share=options.share,
            browser=not options.no_browser,
        )
        print(f"AI PC Playground: {address}  (Ctrl-C ends it)", flush=True)
        page.choices.begin()  # only now: the page is up before any device or model is ready
        while True:  # Ctrl-C interrupts a sleep; on Windows not an Event's wait, nor a lock's
            time.sleep(0.5)  # short: one that comes just before a sleep is heard after it
    except PlaygroundError as error:
        print(f"{error.message}\n{error.fix}".strip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: the workers end anyway
            closing.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
