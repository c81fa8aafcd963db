"""`python -m playground history …`: what was measured, from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from playground import charts, history
from playground.cli.options import OK, print_json
from playground.cli.render import STYLES
from playground.errors import BadInput, PlaygroundError
from playground.formatting import number
from playground.history import Entry, History, Summary
from playground.runs.agreement import Agreement, agreement
from playground.runs.record import Record

PNG = "png"
FORMATS = {"json": history.to_json, "csv": history.to_csv, "markdown": history.to_markdown}
LIST_THEM = "`python -m playground history` lists what there is."


def add_commands(commands: Any) -> None:
    """To the parser of `python -m playground`."""
    top = commands.add_parser("history", help="list, show, export or delete what was measured")
    add_list_options(top, absent={"json": False, "find": "", "limit": 20})
    top.set_defaults(command=list_entries)
    inner = top.add_subparsers(metavar="COMMAND")

    command = inner.add_parser("list", help="list it, newest first; so does `history` alone")
    add_list_options(command, absent={})
    command.set_defaults(command=list_entries)

    command = inner.add_parser("show", help="show one with its answers")
    command.add_argument("id", type=int, metavar="ID")
    command.set_defaults(command=show)

    command = inner.add_parser("delete", help="delete some, or all")
    command.add_argument("ids", type=int, nargs="*", metavar="ID")
    command.add_argument("--all", action="store_true", help="delete all; needs --yes")
    command.add_argument("--yes", action="store_true", help="do not ask back")
    command.set_defaults(command=delete)

    command = inner.add_parser("export", help="write some as JSON, CSV, a table, a picture")
    command.add_argument("ids", type=int, nargs="+", metavar="ID")
    command.add_argument("--format", choices=[*FORMATS, PNG], default="json")
    command.add_argument(
        "--chart",
        choices=charts.NAMES,
        help=f"which one a PNG shows; {charts.SHARING}: of a run together and one in turn",
    )
    command.add_argument(
        "--output", default="-", metavar="FILE", help="standard output unless told, as is -"
    )
    command.set_defaults(command=export)

    command = inner.add_parser("import", help="take in what an export as JSON wrote")
    command.add_argument("file", metavar="FILE", help="- reads standard input")
    command.set_defaults(command=import_file)


def add_list_options(command: argparse.ArgumentParser, absent: dict[str, Any]) -> None:
    """absent: the defaults. `list` has none of its own: they would overwrite those of `history`."""
    none = argparse.SUPPRESS
    command.add_argument(
        "--json", action="store_true", default=absent.get("json", none), help="print JSON"
    )
    command.add_argument(
        "--find",
        metavar="TEXT",
        default=absent.get("find", none),
        help="only those with this in prompt, model or lanes",
    )
    command.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        default=absent.get("limit", none),
        help="at most so many; 20 unless told",
    )


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


@contextmanager
def opened() -> Iterator[History]:
    """The history; what a person should know of its file goes to stderr."""
    found = History()
    try:
        yield found
    finally:
        if found.notice:
            print(found.notice, file=sys.stderr)


def list_entries(options: argparse.Namespace) -> int:
    with opened() as store:
        found = store.find(options.find, limit=options.limit + 1)
        more, found = len(found) > options.limit, found[: options.limit]
    if options.json:
        print_json([summary.as_json() for summary in found])
        return OK
    if not found:
        nothing = "Nothing is found." if options.find else "The history is empty."
        print(nothing, file=sys.stderr)
        return OK
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "when (UTC)", "what", "model", "mode", "lanes", "prompt"):
        table.add_column(heading, overflow="fold")
    for summary in found:
        table.add_row(*(Text(one_line(text)) for text in list_row(summary)))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if more:
        print("There are more; --limit N shows N of them.", file=sys.stderr)
    return OK


def list_row(summary: Summary) -> list[str]:
    lanes = [
        f"{lane.lane} {number(lane.decode_tps, '.1f')} tok/s{summary.at(lane)}"
        if lane.status == "ok"
        else f"{lane.lane} {lane.status}"
        for lane in summary.lanes
    ]
    when = summary.made_at[:19].replace("T", " ")
    shown = summary.prompt[:60] + ("…" if len(summary.prompt) > 60 else "")
    what = [str(summary.id), when, summary.kind, summary.model or "n/a", summary.mode or "n/a"]
    return [*what, ", ".join(lanes), shown]


def show(options: argparse.Namespace) -> int:
    with opened() as store:
        entry = wanted(store, options.id)
    console = Console()
    console.print(Text(plain(history_line(entry))), soft_wrap=True)
    if entry.prompt:
        console.print(Text(plain(f"\n{entry.prompt}\n")), soft_wrap=True)
    for record in entry.records:
        console.print(Text(f"── {one_line(record.lane)} ", style="bold"), end="")
        console.print(Text(one_line(figures(record)), style=STYLES.get(record.status or "", "")))
        for text in (record.text, record.error and record.error.text):
            if text:
                console.print(Text(plain(text)), soft_wrap=True)
    for lane in agreement(entry.records, entry.temperature) or []:
        console.print(Text(one_line(agreement_text(lane))), soft_wrap=True)
    return OK


def history_line(entry: Entry) -> str:
    """ "run 12 · 2026-11-20T12:34:56.789Z · smollm2 · together, contended"."""
    mode = f"{entry.mode}, contended" if entry.contended else entry.mode or "n/a"
    return f"{entry.kind} {entry.id} · {entry.made_at} · {entry.model or 'n/a'} · {mode}"


def figures(record: Record) -> str:
    """ "ok (stop) · 12 → 8 tokens · 41.2 tok/s · TTFT 35 ms"."""
    reason = f" ({record.finish_reason})" if record.finish_reason else ""
    return (
        f"{record.status or 'n/a'}{reason} · {number(record.prompt_tokens, '.0f')} → "
        f"{number(record.new_tokens, '.0f')} tokens · {number(record.decode_tps, '.1f')} tok/s · "
        f"TTFT {number(record.ttft_ms, '.0f')} ms"
    )


def agreement_text(found: Agreement) -> str:
    """Agreement, not quality: which token is the first that differs."""
    against = f"{found.lane} agrees with {found.reference}"
    if found.leaves_at is None:
        return f"{against} for all {found.compared} tokens compared."
    return (
        f"{against} up to token {found.leaves_at}; "
        f"{found.agreeing} of the first {found.counted} are the same."
    )


def delete(options: argparse.Namespace) -> int:
    if options.all == bool(options.ids):
        raise BadInput("Say what to delete.", "Give ids, or --all with --yes.")
    with opened() as store:
        if not options.all:
            for id in options.ids:
                if not store.delete(id):
                    raise unknown(id)
                print(f"{id} is deleted.")
            return OK
        if not options.yes:
            raise BadInput(
                f"This deletes all {store.count()} of the history.", "Add --yes to do it."
            )
        print(f"{store.delete_all()} deleted; the history is empty.")
    return OK


def export(options: argparse.Namespace) -> int:
    with opened() as store:
        entries = [wanted(store, id) for id in options.ids]
    to_stdout = options.output == "-"
    if options.format == PNG:
        if to_stdout and sys.stdout.isatty():
            raise BadInput("A terminal shows no picture.", "Name a file with --output.")
        data = picture(entries, options.chart)
    elif options.chart:
        raise BadInput("Only a PNG shows a chart.", "Add --format png, or leave out --chart.")
    else:
        # Without the mark at its beginning Excel takes a CSV file for the system's old code page.
        marked = options.format == "csv" and not to_stdout
        text = FORMATS[options.format](entries)
        data = text.encode("utf-8-sig" if marked else "utf-8", "replace")
    if to_stdout:
        # As bytes: on Windows, text would get a second CR at the end of each line of CSV.
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return OK
    try:
        Path(options.output).write_bytes(data)
    except OSError as error:
        raise BadInput(
            f"{options.output} cannot be written: {error.strerror}.",
            "Choose a file in a folder that you can write to.",
        ) from error
    return OK


def picture(entries: list[Entry], chart: str | None) -> bytes:
    """A PNG; unless told which, that of latencies, of tokens/s, or of two what sharing costs."""
    if len(entries) == 1:
        [entry] = entries
        usual = charts.LATENCY if entry.kind == history.BENCH else charts.SPEED
        return charts.png(entry.result, chart or usual)
    if len(entries) == 2 and chart in (None, charts.SHARING):
        first, second = entries
        return charts.png(first.result, charts.SHARING, other=second.result)
    raise BadInput(
        f"One picture shows one of the history, or two with --chart {charts.SHARING}.",
        "Export them one by one.",
    )


def import_file(options: argparse.Namespace) -> int:
    try:
        here = options.file == "-"
        data = sys.stdin.buffer.read() if here else Path(options.file).read_bytes()
    except OSError as error:
        raise BadInput(
            f"{options.file} cannot be read: {error.strerror}.", "Name a file of JSON."
        ) from error
    # PowerShell's `>` writes UTF-16; a mark at the beginning tells.
    entries = history.import_json(data.decode(json.detect_encoding(data), "replace"))
    with opened() as store:
        for entry in entries:
            id = store.add(entry)
            print(f"Imported as {id}.")
    return OK


def wanted(store: History, id: int) -> Entry:
    entry = store.get(id)
    if entry is None:
        raise unknown(id)
    return entry


def unknown(id: int) -> PlaygroundError:
    return BadInput(f"There is no {id} in the history.", LIST_THEM)


def plain(text: str) -> str:
    """What an import says must not steer the terminal: no control signs but line breaks."""
    return "".join(sign if sign in "\n\t" or sign.isprintable() else " " for sign in text)


def one_line(text: str) -> str:
    return " ".join(plain(text).split())
