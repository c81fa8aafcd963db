"""Two of the history side by side, as plain values."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from playground.history import Entry, compare
from playground.history.columns import FIGURES
from playground.history.compare import ComparisonRow, Sharing
from playground.page.compare.view import NA
from playground.page.history.entry import plain
from playground.page.history.export import charts_of_two
from playground.page.history.listing import MODES, heading, lane

MAX_SETTING_LENGTH = 300  # characters

Json = dict[str, Any]


def board(a: Entry, b: Entry) -> Json:
    found = compare(a, b)
    return {
        "a": heading(a),
        "b": heading(b),
        "charts": charts_of_two(a, b),
        "differing": [
            [name.replace("_", " "), setting(a, name), setting(b, name)] for name in found.differing
        ],
        "sharing": [[title(each), *shared(each)] for each in found.sharing],
        "lanes": [
            {"lane": name, "rows": [figure(each) for each in rows if known(each)]}
            for name, rows in groupby(found.rows, key=title)
        ],
    }


def setting(entry: Entry, name: str) -> str:
    value = entry.setting(name)
    text = MODES.get(str(value), plain(value)) if name == "mode" else plain(value)
    return text if len(text) <= MAX_SETTING_LENGTH else f"{text[:MAX_SETTING_LENGTH]} …"


def title(of: ComparisonRow | Sharing) -> str:
    """ "OpenVINO GenAI · CPU · int8", of a benchmark with the prompt's length."""
    length = "" if of.prompt_tokens is None else f", {of.prompt_tokens:,} prompt tokens"
    return lane(of.lane) + length


def known(row: ComparisonRow) -> bool:
    return row.a is not None or row.b is not None


def figure(row: ComparisonRow) -> list[str]:
    name = FIGURES[row.figure].heading
    return [name, amount(row.figure, row.a), amount(row.figure, row.b), times(row.ratio)]


def shared(found: Sharing) -> list[str]:
    figures = [amount("decode_tps", each) for each in (found.in_turn, found.together)]
    return [*figures, times(found.ratio)]


def amount(figure: str, value: float | None) -> str:
    if value is None:
        return NA
    return f"{value:,.{FIGURES[figure].digits}f}" if isinstance(value, float) else f"{value:,}"


def times(ratio: float | None) -> str:
    """ "0.62×": b over a."""
    return NA if ratio is None else f"{ratio:.2f}×"
