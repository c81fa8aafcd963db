"""Two entries of the history side by side, as plain values."""

from __future__ import annotations

from itertools import groupby

from playground.formatting import NA
from playground.history import Entry, compare
from playground.history.columns import FIGURES
from playground.history.compare import ComparisonRow, Sharing
from playground.page.components import Json
from playground.page.history.entry import plain
from playground.page.history.export import comparison_charts
from playground.page.history.listing import MODES, heading, lane

MAX_SETTING_LENGTH = 300  # characters


def comparison(a: Entry, b: Entry) -> Json:
    """What comparison.js shows: differing settings, the cost of sharing, and all figures."""
    result = compare(a, b)
    return {
        "a": heading(a),
        "b": heading(b),
        "charts": comparison_charts(a, b),
        "differing": [
            [name.replace("_", " "), setting(a, name), setting(b, name)]
            for name in result.differing
        ],
        "sharing": [[title(sharing), *shared(sharing)] for sharing in result.sharing],
        "lanes": [
            {"lane": name, "rows": [figure(row) for row in rows if has_value(row)]}
            for name, rows in groupby(result.rows, key=title)
        ],
    }


def setting(entry: Entry, name: str) -> str:
    """The setting's value, shortened."""
    value = entry.setting(name)
    text = MODES.get(str(value), plain(value)) if name == "mode" else plain(value)
    return text if len(text) <= MAX_SETTING_LENGTH else f"{text[:MAX_SETTING_LENGTH]} …"


def title(row: ComparisonRow | Sharing) -> str:
    """ "OpenVINO GenAI · CPU · int8", for a benchmark with the prompt length."""
    length = "" if row.prompt_tokens is None else f", {row.prompt_tokens:,} prompt tokens"
    return lane(row.lane) + length


def has_value(row: ComparisonRow) -> bool:
    """Whether at least one of the two has the figure."""
    return row.a is not None or row.b is not None


def figure(row: ComparisonRow) -> list[str]:
    """Name, A, B, B / A."""
    name = FIGURES[row.figure].heading
    return [name, amount(row.figure, row.a), amount(row.figure, row.b), times(row.ratio)]


def shared(sharing: Sharing) -> list[str]:
    """Rate in turn, rate together, ratio."""
    rates = [amount("decode_tps", rate) for rate in (sharing.in_turn, sharing.together)]
    return [*rates, times(sharing.ratio)]


def amount(figure: str, value: float | None) -> str:
    """A value with the digits of its figure."""
    if value is None:
        return NA
    return f"{value:,.{FIGURES[figure].digits}f}" if isinstance(value, float) else f"{value:,}"


def times(ratio: float | None) -> str:
    """ "0.62×": B over A."""
    return NA if ratio is None else f"{ratio:.2f}×"
