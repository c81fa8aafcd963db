"""Texts of a result on a picture: on one line, of bounded length, and without paths."""

from __future__ import annotations

from pathlib import PureWindowsPath
from unicodedata import east_asian_width

MAX_NAME_COLUMNS = 48  # of a lane, a model or any other word


def one_line(text: str) -> str:
    """One line without control characters, which neither XML nor a reader takes."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shortened(text: str) -> str:
    """One line, without its middle if it is long; a Chinese character takes two columns."""
    text = one_line(text)
    columns = sum(2 if east_asian_width(character) in "FW" else 1 for character in text)
    if columns <= MAX_NAME_COLUMNS:
        return text
    half = MAX_NAME_COLUMNS * len(text) // columns // 2
    return f"{text[:half]}…{text[-half:]}"


def model_name(model: str) -> str:
    """The name of a preset or a hub's repository; only the end of a path, which may name a user."""
    from playground.models.hub.files import parse_id  # here: `playground.models` takes long

    name = one_line(model)
    if "\\" not in name and ("/" not in name or parse_id(name)):
        return name
    return PureWindowsPath(name).name or "a folder"  # splits at both kinds of slash
