"""`python -m playground COMMAND`: everything that the page does, without a browser."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, NamedTuple

import click
import typer
from typer.core import TyperGroup

from playground import __version__
from playground.cli.command import (
    FAILED,
    INTERRUPTED,
    WRONG_CALL,
    call,
    command,
    new_app,
    print_error,
    use_utf8,
)
from playground.errors import BadInput, PlaygroundError

PROGRAM = "python -m playground"


class Target(NamedTuple):
    """The function, or the group of commands, that a command stands for, and its help."""

    module: str
    name: str
    summary: str


COMMANDS = {
    "lanes": Target("lanes", "list_lanes", "List this machine's lanes, and why some cannot run."),
    "prepare": Target("models", "prepare", "Download and convert a model for its lanes."),
    "models": Target("models", "list_models", "List the models on this machine and their sizes."),
    "remove": Target("models", "remove", "Delete the files of a model."),
    "history": Target("history", "commands", "List, show, export, import or delete results."),
    "ask": Target("ask", "ask", "Send one prompt to several lanes."),
    "gauges": Target("gauges", "gauges", "Show the load of CPU, GPU and NPU, and the power."),
    "bench": Target("bench", "bench", "Benchmark lanes at exact prompt lengths."),
    "doctor": Target("doctor", "doctor", "Print a report to attach to a bug report."),
}


class LazyCommands(TyperGroup):
    """Imports a command only when it is called, which keeps `--help` and `--version` fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        value = getattr(import_module(f"{__name__}.{target.module}"), target.name)
        return value if isinstance(value, click.Command) else command(value, target.summary)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, target.summary) for name, target in COMMANDS.items()])


def print_version(requested: bool) -> None:
    if requested:
        print(__version__)
        raise typer.Exit


def playground(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Send one prompt to several local inference engines and measure them.

    A lane is an engine on a device at a precision, such as onnx-genai:CPU:int8.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed as sentences."""
    use_utf8()
    app = new_app()
    app.callback(cls=LazyCommands)(playground)
    try:
        return call(typer.main.get_command(app), PROGRAM, arguments)
    except PlaygroundError as error:
        print_error(error)
        return WRONG_CALL if isinstance(error, BadInput) else FAILED
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
