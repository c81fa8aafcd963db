"""Takes out of a report what names its user: names, home paths, the host, passwords and tokens."""

from __future__ import annotations

import ctypes
import getpass
import os
import re
import socket
import sys
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

HOME, USER, HOST, HIDDEN = "~", "[user]", "[host]", "[hidden]"
SECRET_NAMES = re.compile(r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASS|API_?KEY)(?:_|$)", re.I)
# What anybody's looks like, however it came into a text.
CREDENTIALS = r"(?<=://)[^\s/@]+@"
TOKENS = r"\b(?:hf_|gh[opsur]_|sk-|glpat-)[A-Za-z0-9_-]{8,}|(?<=\bBearer )\S+"
ANY_HOME = (
    r"(?<![\w.~\]])(?:[A-Z]:)?[\\/]+(?:home|Users|Documents and Settings)[\\/]+"
    r"[^\\/:*?\"<>|\r\n]+(?=[\\/])"
)
BETWEEN = r"(?:[\\/]+|%5C|%2F)"


@dataclass(frozen=True)
class Private:
    """What must not be in a report. folders: (a path, what is written in its place)."""

    folders: tuple[tuple[str, str], ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def scrub(self, value: Any) -> Any:
        """The same value with every text in it cleaned; the keys of mappings are ours."""
        if isinstance(value, str):
            return self._pattern.sub(lambda found: self._stands_for(found), value)
        if isinstance(value, dict):
            return {key: self.scrub(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.scrub(each) for each in value]
        return value

    @cached_property
    def _rules(self) -> list[tuple[str, str]]:
        """(what, what instead): the first that fits at a place wins, so the longer come first."""
        folders = sorted(self.folders, key=lambda each: -len(each[0]))
        return [
            *((_exactly(secret), HIDDEN) for secret in _longest_first(self.secrets)),
            (CREDENTIALS, f"{HIDDEN}@"),
            (TOKENS, HIDDEN),
            *((_path(folder), instead) for folder, instead in folders if len(folder) > 1),
            (ANY_HOME, HOME),
            *((_word(name), USER) for name in _longest_first(self.users)),
            *((_word(name), HOST) for name in _longest_first(self.hosts)),
        ]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Case does not matter on Windows, and cannot do harm elsewhere."""
        return re.compile("|".join(f"({what})" for what, _ in self._rules), re.IGNORECASE)

    def _stands_for(self, found: re.Match[str]) -> str:
        assert found.lastindex is not None
        return self._rules[found.lastindex - 1][1]


def of_this_machine(data: Path, program: Path) -> Private:
    """What is private here. data, program: folders that may be anywhere, and be named after us."""
    homes = {str(Path.home()), os.path.realpath(Path.home())}
    homes |= {os.environ[name] for name in ("HOME", "USERPROFILE") if os.environ.get(name)}
    homes |= {_short(each) for each in homes}
    users = {Path(each).name for each in homes}
    users |= {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    with suppress(OSError, KeyError, ImportError):  # a container's user may have no name
        users.add(getpass.getuser())
    hosts = {socket.gethostname(), os.environ.get("COMPUTERNAME", "")}
    hosts |= {each.partition(".")[0] for each in hosts}
    ours = [(str(data), "[data]"), (_short(str(data)), "[data]"), (str(program), "[program]")]
    return Private(
        folders=(*ours, *((each, HOME) for each in homes)),
        users=tuple(users - {""}),
        hosts=tuple(hosts - {"", "localhost"}),
        secrets=tuple(_secrets()),
    )


def _secrets() -> set[str]:
    """Values of variables that are named as secrets, and the passwords of proxies and indexes."""
    found = set()
    for name, value in os.environ.items():
        if SECRET_NAMES.search(name):
            found.add(value)
        with suppress(ValueError):
            found.add(urlsplit(value).password or "")
    switches = {"true", "false", "none"}
    return {each for each in found if len(each) > 3 and each.lower() not in switches}


def _short(path: str) -> str:
    """Its 8.3 form on Windows, C:\\Users\\ABCDEF~1: a volume may have none."""
    if sys.platform != "win32":
        return path
    room = ctypes.create_unicode_buffer(1024)
    kernel: Any = ctypes.WinDLL("kernel32")
    return room.value if 0 < kernel.GetShortPathNameW(path, room, 1024) < 1024 else path


def _forms(text: str) -> str:
    """A pattern for a name as it is, decomposed, URL-encoded, escaped, or wrongly decoded."""
    forms = {text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)}
    forms |= {quote(text, safe=""), quote_plus(text), ascii(text)[1:-1]}
    for written, read in (("utf-8", "cp1252"), ("utf-8", "gbk"), ("gbk", "cp1252")):
        with suppress(UnicodeError):
            forms.add(text.encode(written).decode(read))
    return "(?:" + "|".join(_exactly(form) for form in _longest_first(forms)) + ")"


def _exactly(text: str) -> str:
    """A pattern for it, its backslashes perhaps doubled by a repr, its spaces escaped."""
    return re.escape(text).replace("\\\\", r"\\+").replace("\\ ", r"(?:\\*\s|%20|\+)")


def _word(name: str) -> str:
    """A pattern for a name, not within a longer Latin word; also its short form, ABCDEF~1."""
    before = r"(?<![A-Z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    after = r"(?![A-Z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    short = re.escape(re.sub(r"[ .]", "", name)[:6])
    return rf"{before}(?:{_forms(name)}{after}|{short}~\d+)"


def _path(path: str) -> str:
    """A pattern for a folder, with whichever separators, not within a longer name."""
    parts = [part for part in re.split(r"[\\/]+", path) if part]
    root = BETWEEN if path[0] in "\\/" else r"(?<![A-Z0-9])"
    return root + BETWEEN.join(_forms(part) for part in parts) + r"(?![A-Z0-9_-])"


def _longest_first(texts: Any) -> list[str]:
    return sorted((text for text in texts if text), key=lambda text: (-len(text), text))
