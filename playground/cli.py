"""`python -m playground lanes | prepare | ask | doctor`: the arena without a browser."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from functools import partial
from typing import Any

from playground import __version__, doctor, lanes, models, terminal
from playground.arena import Arena
from playground.errors import BadInput, PlaygroundError
from playground.home import home
from playground.record import IN_TURN, TOGETHER, Request

OK, FAILED, WRONG_CALL = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. No traceback reaches a person."""
    options = parser().parse_args(arguments)
    terminal.speak_utf8()
    try:
        log_to_file()
        return int(options.command(options))
    except PlaygroundError as error:
        print(f"{error.message}\n{error.fix}".strip(), file=sys.stderr)
        return WRONG_CALL if isinstance(error, BadInput) else FAILED
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


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

    command = commands.add_parser("prepare", help="fetch and convert a model for its lanes")
    add_model(command)
    add_lanes(command)
    command.set_defaults(command=prepare)

    command = commands.add_parser("ask", help="ask one prompt on some lanes")
    command.add_argument("prompt", metavar="PROMPT", help="what to ask; - reads standard input")
    add_model(command)
    add_lanes(command)
    command.add_argument("--mode", choices=[TOGETHER, IN_TURN], default=TOGETHER)
    command.add_argument("--max-new-tokens", type=int, default=256, metavar="N")
    command.add_argument("--temperature", type=float, default=0.0, help="0 is greedy, the default")
    command.add_argument("--system", default="", metavar="S", help="a system prompt")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=ask)

    command = commands.add_parser("doctor", help="print a report to attach to a bug report")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=print_report)
    return top


def add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        default=models.DEFAULT_MODEL,
        metavar="M",
        help=f"a preset or a Hugging Face folder; {models.DEFAULT_MODEL} unless told",
    )


def add_lanes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--lanes",
        default="",
        metavar="A,B",
        help="such as openvino-genai,onnx-genai:CPU:int8; all installed engines unless told",
    )


def chosen_lanes(options: argparse.Namespace) -> list[lanes.Lane]:
    """`--lanes A,B`, or the default ones."""
    names = [name for name in options.lanes.split(",") if name.strip()]
    return lanes.parse_all(names) if names else lanes.default_lanes()


def list_lanes(options: argparse.Namespace) -> int:
    rows = lanes.table(models.check(options.model))
    if options.json:
        print_json(rows)
    else:
        terminal.print_lanes(rows)
    return OK


def prepare(options: argparse.Namespace) -> int:
    """Make what the lanes read; every lane is tried, the first failure decides the exit code."""
    model, lines, failed = models.check(options.model), terminal.StageLines(), False
    for lane in chosen_lanes(options):
        if not lane.needs_model:
            continue
        try:
            folder = models.prepare(
                model,
                lane.format,
                lane.precision,
                partial(lines.show, lane),
            )
            print(f"{lane.name}: ready in {folder}", file=sys.stderr)
        except PlaygroundError as error:
            failed = True
            print(f"{lane.name}: {error.message}\n{error.fix}", file=sys.stderr)
    return FAILED if failed else OK


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
        model=models.check(options.model),
    )
    arena = Arena()
    try:
        run = arena.start(request)
        if options.json:
            result = terminal.wait_for(run)
            print_json(result)
        else:
            result = terminal.stream(run)
    finally:
        arena.close()
    return OK if all(lane["status"] == "ok" for lane in result["lanes"]) else FAILED


def print_report(options: argparse.Namespace) -> int:
    report = doctor.report()
    if options.json:
        print_json(report)
    else:
        print(doctor.markdown(report), end="")
    print("Attach this report to your bug report; it names neither you nor yours.", file=sys.stderr)
    return OK


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
