"""`python -m playground COMMAND`: everything that the page does, without a browser."""

from __future__ import annotations

import argparse
import logging
import sys

from playground import __version__, doctor
from playground.arena import Arena
from playground.cli import bench as cli_bench
from playground.cli import gauges as cli_gauges
from playground.cli import history as cli_history
from playground.cli import models as cli_models
from playground.cli import render
from playground.cli.options import (
    FAILED,
    INTERRUPTED,
    OK,
    WRONG_CALL,
    add_lanes,
    add_model,
    add_no_history,
    chosen_lanes,
    print_json,
    say_trouble,
)
from playground.errors import BadInput, PlaygroundError
from playground.history import History
from playground.lanes import lane as lanes
from playground.models import check
from playground.paths import home
from playground.runs.record import IN_TURN, TOGETHER
from playground.runs.request import Request


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. No traceback reaches a person."""
    options = parser().parse_args(arguments)
    render.use_utf8()
    try:
        log_to_file()
        return int(options.command(options))
    except PlaygroundError as error:
        print(f"{error.message}\n{error.fix}".strip(), file=sys.stderr)
        return WRONG_CALL if isinstance(error, BadInput) else FAILED
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED


def log_to_file() -> None:
    """What is for the log goes to a file in the data folder, not to the terminal."""
    path = home() / "logs" / "playground.log"
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    try:
        logging.basicConfig(filename=path, encoding="utf-8", format=form)
    except OSError as error:
        raise BadInput(
            f"The log {path} cannot be written: {error.strerror}.",
            "Set AIPC_HOME to a folder that you can write to.",
        ) from error


def parser() -> argparse.ArgumentParser:
    """The commands and their options; `--help` shows them."""
    top = argparse.ArgumentParser(
        prog="python -m playground",
        description="One prompt to several local inference engines, with truthful figures.",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("lanes", help="list the lanes of this machine")
    command.add_argument("--json", action="store_true", help="print JSON")
    add_model(command)
    command.set_defaults(command=list_lanes)

    cli_models.add_commands(commands)
    cli_history.add_commands(commands)

    command = commands.add_parser("ask", help="ask one prompt on some lanes")
    command.add_argument("prompt", metavar="PROMPT", help="what to ask; - reads standard input")
    add_model(command)
    add_lanes(command)
    command.add_argument("--mode", choices=[TOGETHER, IN_TURN], default=TOGETHER)
    command.add_argument("--max-new-tokens", type=int, default=256, metavar="N")
    command.add_argument("--temperature", type=float, default=0.0, help="0 is greedy, the default")
    command.add_argument("--system", default="", metavar="S", help="a system prompt")
    command.add_argument(
        "--force", action="store_true", help="load a model even if memory seems too small for it"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    add_no_history(command)
    command.set_defaults(command=ask)

    cli_gauges.add_commands(commands)

    cli_bench.add_commands(commands)

    command = commands.add_parser("doctor", help="print a report to attach to a bug report")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=print_report)
    return top


def list_lanes(options: argparse.Namespace) -> int:
    rows = lanes.table(check(options.model))
    if options.json:
        print_json(rows)
    else:
        render.print_lanes(rows)
    return OK


def ask(options: argparse.Namespace) -> int:
    if options.prompt == "-":
        options.prompt = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    request = Request(
        prompt=options.prompt,
        lanes=tuple(chosen_lanes(options)),
        mode=options.mode,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        system=options.system,
        model=check(options.model),
    )
    arena = Arena(None if options.no_history else History())
    arena.hosts.force = options.force
    try:
        run = arena.start(request)
        if options.json:
            result = render.wait_for(run)
            print_json(result.as_json())
        else:
            result = render.stream(run)
    finally:
        arena.close()
    say_trouble(arena.history_writer)
    return OK if all(record.status == "ok" for record in result.lanes) else FAILED


def print_report(options: argparse.Namespace) -> int:
    report = doctor.report()
    if options.json:
        print_json(report)
    else:
        print(doctor.markdown(report), end="")
    print("Attach this report to your bug report; it names neither you nor yours.", file=sys.stderr)
    return OK
