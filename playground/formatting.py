"""Figures as people read them, the same on the page, in the terminal and in tables.

What is not known is written "n/a", never 0.
"""

from __future__ import annotations

NA = "n/a"


def number(value: float | None, form: str) -> str:
    """A figure in the given format (`".1f"`)."""
    return NA if value is None else format(value, form)


def percent(value: float | None) -> str:
    """ "48 %"."""
    return NA if value is None else f"{value:.0f} %"


def with_unit(value: float | None, unit: str) -> str:
    """ "1,035 ms"."""
    return NA if value is None else f"{value:,.0f} {unit}"


def memory_size(megabytes: float | None) -> str:
    """ "612 MB", "1.4 GB"."""
    if megabytes is None:
        return NA
    return f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def file_size(size: int) -> str:
    """Of so many bytes: "2.3 GB"."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB" if size >= 1e3 else f"{size} bytes"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def time_left(seconds: float | None) -> str:
    """ "3 min left"; "" where it cannot be estimated."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s left" if seconds < 99.5 else f"{seconds / 60:.0f} min left"
