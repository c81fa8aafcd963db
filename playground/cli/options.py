"""What the commands share: options, exit codes, JSON."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from playground import models
from playground.history import HistoryWriter
from playground.lanes import lane as lanes

OK, FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130


def add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        default=models.DEFAULT_MODEL,
        metavar="M",
        help="a preset, a Hugging Face id (owner/name), a GGUF file or a model's folder; "
        f"{models.DEFAULT_MODEL} unless told",
    )


def add_lanes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--lanes",
        default="",
        metavar="A,B",
        help="such as openvino-genai,onnx-genai:CPU:int8; all installed engines unless told",
    )


def add_no_history(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-history", action="store_true", help="do not keep it in the history")


def say_trouble(keeper: HistoryWriter) -> None:
    """On stderr, what a person should know of the history."""
    if keeper.notice:
        print(keeper.notice, file=sys.stderr)


def chosen_lanes(options: argparse.Namespace) -> list[lanes.Lane]:
    """`--lanes A,B`, or the default ones."""
    names = [name for name in options.lanes.split(",") if name.strip()]
    return lanes.parse_all(names) if names else lanes.default_lanes()


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
