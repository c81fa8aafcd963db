"""How a command is built and called: arguments, UTF-8 output, the log, Ctrl-C, exit codes."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
import typer
from click.core import augment_usage_errors
from typer.core import TyperCommand

from playground.errors import BadInput, PlaygroundError
from playground.paths import home

OK, FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130
CONTEXT = {"help_option_names": ["-h", "--help"]}


class LoggedCommand(TyperCommand):
    """Opens the log before the command runs, but not for `--help` or a call that is wrong."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with augment_usage_errors(ctx):
            return super().parse_args(ctx, self.with_text_last(args))

    def with_text_last(self, args: list[str]) -> list[str]:
        """Move a prompt such as "- one thing" behind "--", where it cannot be read as options."""
        options = [param for param in self.params if isinstance(param, click.Option)]
        with_value = {name for option in options if not option.is_flag for name in option.opts}
        others: list[str] = []
        texts: list[str] = []
        for arg in args:
            is_text = arg.startswith("-") and " " in arg.partition("=")[0]
            is_value = bool(others) and others[-1] in with_value
            (texts if is_text and not is_value else others).append(arg)
        return args if "--" in args or not texts else [*others, "--", *texts]

    def invoke(self, ctx: click.Context) -> int:
        log_to_file()
        return int(super().invoke(ctx))


def new_app() -> typer.Typer:
    """A typer application without coloured boxes, tracebacks with values and shell completion."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )


def command(function: Callable[..., int], summary: str) -> click.Command:
    """A command whose arguments are the parameters of a function."""
    app = new_app()
    app.command(cls=LoggedCommand, help=summary, context_settings=CONTEXT)(function)
    return typer.main.get_command(app)


def call(target: click.Command, program: str, arguments: Sequence[str] | None) -> int:
    """Run a command with these arguments, or with the program's own; returns its exit code.

    Raises BadInput for arguments that it does not accept. `click.Command.main` is not used because
    it handles Ctrl-C itself and, on Windows, expands the wildcards in a prompt.
    """
    try:
        args = list(sys.argv[1:] if arguments is None else arguments)
        with target.make_context(program, args) as context:
            return int(target.invoke(context))
    except click.exceptions.Exit as end:  # --help and --version
        return end.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else program
        message = error.format_message()
        sentence = message if message.endswith((".", "?")) else f"{message}."
        raise BadInput(sentence, f"See `{path} --help`.") from error


def print_error(error: PlaygroundError) -> None:
    """One line about what is wrong, one about what to do."""
    print(f"{error.message}\n{error.fix}".strip(), file=sys.stderr)


def print_notice(notice: str) -> None:
    """Print what is wrong with the history, if anything is, on stderr."""
    if notice:
        print(notice, file=sys.stderr)


def use_utf8() -> None:
    """A Windows pipe is cp1252 by default, and the first 你好 would end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def log_to_file() -> None:
    """Send log messages to a file in the data folder instead of the terminal."""
    path = home() / "logs" / "playground.log"
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    try:
        logging.basicConfig(filename=path, encoding="utf-8", format=line)
    except OSError as error:
        raise BadInput(
            f"The log {path} cannot be written: {error.strerror}.",
            "Set AIPC_HOME to a folder that you can write to.",
        ) from error


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets: work ends where it leaves nothing unfinished."""
    interrupted = threading.Event()
    previous = signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)
