"""Entries from JSON that somebody hands over; a file that holds none gets a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from playground.errors import BadInput
from playground.history.entry import BENCH, Entry, parse_entry
from playground.history.export import FORMAT, VERSION
from playground.runs.benchmark_record import parse_result
from playground.runs.figures import RecordModel

FIX = "Import a file written by `history export --format json`, `ask --json` or `bench --json`."
MAX_NAME_LENGTH = 300  # characters of a lane's name
# What pydantic expected, by the type of its error.
EXPECTED = {
    "missing": "is missing",
    "bool_type": "is neither true nor false",
    "dict_type": "is not an object",
    "int_type": "is not a whole number",
    "list_type": "is not a list",
    "literal_error": "is neither “run” nor “bench”",
    "model_type": "is not an object",
    "number": "is not a number",
    "string_type": "is not text",
    "time": "is not a time such as 2026-11-20T12:34:56.789Z",
}


def time(text: str) -> str:
    """The text unchanged; an error unless it has the store's form, which sorts by time as text."""
    try:
        if re.fullmatch(r"[-\d]{10}T[:\d]{8}\.\d{3}Z", text):
            datetime.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise PydanticCustomError("time", "Input should be a time in UTC")


class Export(RecordModel):
    """An entry as `history export` writes it. The result is checked by its kind."""

    kind: Literal["run", "bench"]
    made_at: Annotated[str, AfterValidator(time)] | None = None
    settings: dict[str, object]
    result: dict[str, object]
    gauges: list[object]


def import_json(text: str) -> list[Entry]:
    """The entries of an export, or of a bare result; figures stay exactly as they are in the file.

    Raises BadInput with what is wrong and where.
    """
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"This is not JSON: {error}.", FIX) from error
    objects = parsed if isinstance(parsed, list) else [parsed]
    if not objects:
        raise BadInput("This file holds no run.", FIX)
    return [_entry(content) for content in objects]


def _entry(content: object) -> Entry:
    if not isinstance(content, Mapping):
        raise _refusal("it is not an object")
    try:
        if content.get("format") != FORMAT:
            entry = Entry(parse_result(content))
        elif content.get("version") != VERSION:
            raise BadInput(
                "A newer version of this program wrote this file.", "Update the program."
            )
        else:
            export = Export.model_validate(content)
            entry = parse_entry(export.kind, content, export.made_at)
    except ValidationError as error:
        raise _refusal(_sentence(error.errors()[0])) from error
    _check_lanes(entry)
    return entry


def _check_lanes(entry: Entry) -> None:
    name = "results" if entry.kind == BENCH else "lanes"
    if not entry.records:
        raise _refusal(f"“{name}” is empty")
    for place, record in enumerate(entry.records, 1):
        if not 0 < len(record.lane) <= MAX_NAME_LENGTH:
            raise _refusal(f"“{name}”, number {place}, “lane” is not the name of a lane")


def _sentence(error: ErrorDetails) -> str:
    """Where it is and what is wrong: "“lanes”, number 2, “decode_tps” is not a number"."""
    return f"{_place(error['loc'])} {EXPECTED.get(error['type'], 'is not what it should be')}"


def _place(path: Sequence[str | int]) -> str:
    return ", ".join(
        f"number {part + 1}" if isinstance(part, int) else f"“{part}”" for part in path
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _refusal(reason: str) -> BadInput:
    return BadInput(f"This is not a run or benchmark of the playground: {reason}.", FIX)
