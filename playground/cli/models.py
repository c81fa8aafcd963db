"""`python -m playground prepare | models | remove`: the models on this machine."""

from __future__ import annotations

import threading
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Annotated

import typer

from playground import models
from playground.cli.command import FAILED, INTERRUPTED, OK, ctrl_c
from playground.cli.lanes import chosen_lanes
from playground.cli.options import AsJson, Lanes, Model
from playground.cli.output import print_json, print_table
from playground.cli.progress import PreparationProgress
from playground.errors import PlaygroundError
from playground.formatting import file_size
from playground.lanes.lane import Lane
from playground.models.space import hub_cache
from playground.paths import home

UNEXPLAINED_BYTES = 1_000_000  # more than manifests and lock files take

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="Its name in the list of `models`.")
]
Cache = Annotated[
    bool,
    typer.Option("--cache", help="Delete it from the Hugging Face cache, which is shared, too."),
]


def prepare(model: Model = models.DEFAULT_MODEL, lanes: Lanes = "") -> int:
    """Every lane is tried; the exit code tells of any failure."""
    model, failed = models.check(model), False
    targets = [lane for lane in chosen_lanes(lanes) if lane.needs_model]
    with ctrl_c() as cancel, PreparationProgress() as progress:
        try:
            needs = models.needs(model, [(lane.format, lane.precision) for lane in targets], cancel)
            progress.say("\n  ".join([needs.sentence(), *needs.steps]))
            needs.check()
            for lane in targets:
                failed |= not prepare_lane(model, lane, progress, cancel)
        except models.Cancelled as cancelled:
            progress.say(str(cancelled))
            return INTERRUPTED
    return FAILED if failed else OK


def prepare_lane(
    model: str, lane: Lane, progress: PreparationProgress, cancel: threading.Event
) -> bool:
    """Whether it succeeded; prints the folder and how the weights were quantised, or the error."""
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


def list_models(as_json: AsJson = False) -> int:
    inventory = models.inventory()
    if as_json:
        print_json([asdict(model) for model in inventory])
        return OK
    headings = ("model", "format", "size", "weights", "folder")
    print_table(headings, chain.from_iterable(map(rows, inventory)), right=("size",), width=200)
    print(f"{file_size(sum(model.bytes for model in inventory))} in {home() / 'models'}")
    return OK


def rows(model: models.StoredModel) -> list[list[str]]:
    """One row for each prepared format, and one for files that belong to none of them."""
    table_rows = [
        [
            model.model,
            f"{part.format} {part.precision}",
            file_size(part.bytes),
            part.recipe,
            f"{part.folder}" + (", your own" if part.elsewhere else ""),
        ]
        for part in model.parts
    ]
    rest = model.bytes - sum(part.bytes for part in model.parts if not part.elsewhere)
    if rest > UNEXPLAINED_BYTES:
        table_rows.append([model.model, "", file_size(rest), "not finished, or damaged", ""])
    return table_rows or [[model.model, "", "", "not prepared", ""]]


def remove(model: ModelName, cache: Cache = False) -> int:
    stored = models.item_of(model)
    freed = models.remove(model, cache=cache)
    print(f"{stored.title} is removed: {file_size(freed)} freed.")
    hub = hub_cache().absolute()
    shared = {part.folder: part.bytes for part in stored.parts if part.folder.is_relative_to(hub)}
    if shared and not cache:
        print(
            f"{file_size(sum(shared.values()))} of it stays in the Hugging Face cache, which "
            "other programs share; --cache removes that, too."
        )
    return OK
