"""`python -m playground prepare | models | remove`: the models on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from playground import models
from playground.cli.options import (
    FAILED,
    INTERRUPTED,
    OK,
    add_lanes,
    add_model,
    chosen_lanes,
    print_json,
)
from playground.cli.progress import Progress
from playground.errors import PlaygroundError
from playground.formatting import file_size
from playground.lanes.lane import Lane
from playground.models.space import hub_cache
from playground.paths import home


def add_commands(commands: Any) -> None:
    """To the parser of `python -m playground`."""
    command = commands.add_parser("prepare", help="fetch and convert a model for its lanes")
    add_model(command)
    add_lanes(command)
    command.set_defaults(command=prepare)

    command = commands.add_parser("models", help="list the models that are there, and their size")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=list_models)

    command = commands.add_parser("remove", help="remove what was made of a model")
    command.add_argument("model", metavar="MODEL", help="as `models` calls it")
    command.add_argument(
        "--cache",
        action="store_true",
        help="also from the Hugging Face cache, which other programs share",
    )
    command.set_defaults(command=remove)


def prepare(options: argparse.Namespace) -> int:
    """Make what the lanes read; every lane is tried, the first failure decides the exit code."""
    model, failed = models.check(options.model), False
    lanes = [lane for lane in chosen_lanes(options) if lane.needs_model]
    with ctrl_c() as cancel, Progress() as progress:
        try:
            needs = models.needs(model, [(lane.format, lane.precision) for lane in lanes], cancel)
            progress.say("\n  ".join([needs.sentence(), *needs.steps]))
            needs.check()
            for lane in lanes:
                failed |= not prepare_lane(model, lane, progress, cancel)
        except models.Cancelled as cancelled:
            progress.say(str(cancelled))
            return INTERRUPTED
    return FAILED if failed else OK


def prepare_lane(model: str, lane: Lane, progress: Progress, cancel: threading.Event) -> bool:
    """Says what was made of it, and whose work that is; or what was wrong."""
    what = (model, lane.format, lane.precision)
    try:
        folder = models.prepare(*what, partial(progress.show, lane), cancel)
    except models.Cancelled:
        raise
    except PlaygroundError as error:
        progress.say(f"{lane.name}: {error.message}\n{error.fix}")
        return False
    weights = models.weights(*what)
    recipe = weights["recipe"] if weights else "unknown"
    converted = ", converted here" if folder.is_relative_to(home()) else ""
    progress.say(f"{lane.name}: ready in {folder} ({recipe}{converted})")
    return True


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that what is under way ends where nothing is half-made."""
    cancel = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: cancel.set())
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def list_models(options: argparse.Namespace) -> int:
    items = models.inventory()
    if options.json:
        print_json([as_json(item) for item in items])
        return OK
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "format", "size", "weights", "where"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "size" else "left")
    for item in items:
        for row in rows(item):
            table.add_row(*map(Text, row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    print(f"{file_size(sum(item.bytes for item in items))} in {home() / 'models'}")
    return OK


def as_json(item: models.StoredModel) -> dict[str, Any]:
    parts = [{**asdict(part), "folder": str(part.folder)} for part in item.parts]
    return {**asdict(item), "parts": parts}


def rows(item: models.StoredModel) -> list[list[str]]:
    """One for each part, and one for what no part accounts for."""
    found = [
        [
            item.model,
            f"{part.format} {part.precision}",
            file_size(part.bytes),
            part.recipe,
            f"{part.folder}" + (", not ours" if part.elsewhere else ""),
        ]
        for part in item.parts
    ]
    rest = item.bytes - sum(part.bytes for part in item.parts if not part.elsewhere)
    if rest > 1_000_000:  # more than manifests
        found.append([item.model, "", file_size(rest), "not finished, or damaged", ""])
    return found or [[item.model, "", "", "not prepared", ""]]


def remove(options: argparse.Namespace) -> int:
    item = models.item_of(options.model)
    freed = models.remove(options.model, cache=options.cache)
    print(f"{item.title} is removed: {file_size(freed)} freed.")
    shared = {part.folder: part.bytes for part in item.parts if is_shared(part.folder)}
    if shared and not options.cache:
        print(
            f"{file_size(sum(shared.values()))} of it stays in the Hugging Face cache, which "
            "other programs share; --cache removes that, too."
        )
    return OK


def is_shared(folder: Path) -> bool:
    return folder.is_relative_to(hub_cache().absolute())
