"""`python -m playground history …`: list, show, export, import and delete saved results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import click
import typer

from playground import charts, history
from playground.charts.text import one_line
from playground.cli.command import OK, LoggedCommand, log_to_file, new_app, print_notice
from playground.cli.options import AsJson
from playground.cli.output import STYLES, print_json, print_table
from playground.errors import BadInput, PlaygroundError
from playground.formatting import NA, number
from playground.history import Entry, History, Summary
from playground.runs.agreement import Agreement, agreement
from playground.runs.record import Record

PNG = "png"
FORMATS = {"json": history.to_json, "csv": history.to_csv, "markdown": history.to_markdown}
STDIN = STDOUT = "-"
LIMIT = 20


def positive(limit: int) -> int:
    if limit < 1:
        raise typer.BadParameter(f"{limit} is less than 1.")
    return limit


Find = Annotated[
    str,
    typer.Option("--find", metavar="TEXT", help="Only those with TEXT in prompt, model or lanes."),
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", callback=positive, help="List at most N.")
]
Id = Annotated[int, typer.Argument(metavar="ID", help="A number from the list.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Numbers from the list.")]
OptionalIds = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers from the list.")
]
All = Annotated[bool, typer.Option("--all", help="Delete all results; needs --yes.")]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm --all.")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        click_type=click.Choice([*FORMATS, PNG]),
        help=f"{', '.join(FORMATS)} or {PNG}.",
    ),
]
ChartName = Annotated[
    str | None,
    typer.Option(
        "--chart",
        metavar="CHART",
        click_type=click.Choice(charts.NAMES),
        help=f"Chart of a PNG: {', '.join(charts.NAMES)}; {charts.SHARING} needs two results.",
    ),
]
Output = Annotated[
    str, typer.Option("--output", metavar="FILE", help="File to write; - is stdout.")
]
ImportFile = Annotated[str, typer.Argument(metavar="FILE", help="A JSON export; - reads stdin.")]

app = new_app()


@app.callback(invoke_without_command=True)
def history_command(
    context: typer.Context, as_json: AsJson = False, find: Find = "", limit: Limit = LIMIT
) -> int:
    """List, show, export, import or delete results. Without COMMAND: list them."""
    if context.invoked_subcommand:
        options = {"as_json": as_json, "find": find, "limit": limit}
        context.default_map = {"list": options}  # so that `history --json list` prints JSON
        return OK
    log_to_file()
    return list_entries(as_json, find, limit)


@contextmanager
def opened() -> Iterator[History]:
    """The history; a damaged file is reported on stderr."""
    store = History()
    try:
        yield store
    finally:
        print_notice(store.notice)


@app.command("list", cls=LoggedCommand)
def list_entries(as_json: AsJson = False, find: Find = "", limit: Limit = LIMIT) -> int:
    """List results, newest first."""
    with opened() as store:
        matches = store.find(find, limit=limit + 1)
    shown = matches[:limit]
    if as_json:
        print_json([summary.as_json() for summary in shown])
        return OK
    if not shown:
        print("Nothing is found." if find else "The history is empty.", file=sys.stderr)
        return OK
    rows = [[one_line(text) for text in list_row(summary)] for summary in shown]
    print_table(("id", "when (UTC)", "what", "model", "mode", "lanes", "prompt"), rows, width=200)
    if len(matches) > limit:
        print("There are more; --limit N shows N of them.", file=sys.stderr)
    return OK


def list_row(summary: Summary) -> list[str]:
    """The cells of one result."""
    lanes = [
        f"{lane.lane} {number(lane.decode_tps, '.1f')} tok/s{summary.at(lane)}"
        if lane.status == "ok"
        else f"{lane.lane} {lane.status}"
        for lane in summary.lanes
    ]
    when = summary.made_at[:19].replace("T", " ")
    prompt = summary.prompt[:60] + ("…" if len(summary.prompt) > 60 else "")
    cells = [str(summary.id), when, summary.kind, summary.model or NA, summary.mode or NA]
    return [*cells, ", ".join(lanes), prompt]


@app.command(cls=LoggedCommand)
def show(entry_id: Id) -> int:
    """Show one result with its answers."""
    from rich.console import Console  # takes long, and the other commands do without
    from rich.text import Text

    with opened() as store:
        entry = entry_of(store, entry_id)
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
    """For example "run 12 · 2026-11-20T12:34:56.789Z · smollm2 · together, contended"."""
    mode = f"{entry.mode}, contended" if entry.contended else entry.mode or NA
    return f"{entry.kind} {entry.id} · {entry.made_at} · {entry.model or NA} · {mode}"


def figures(record: Record) -> str:
    """For example "ok (stop) · 12 → 8 tokens · 41.2 tok/s · TTFT 35 ms"."""
    reason = f" ({record.finish_reason})" if record.finish_reason else ""
    return (
        f"{record.status or NA}{reason} · {number(record.prompt_tokens, '.0f')} → "
        f"{number(record.new_tokens, '.0f')} tokens · {number(record.decode_tps, '.1f')} tok/s · "
        f"TTFT {number(record.ttft_ms, '.0f')} ms"
    )


def agreement_text(lane: Agreement) -> str:
    """How far two lanes gave the same tokens, which says nothing about quality."""
    against = f"{lane.lane} agrees with {lane.reference}"
    if lane.leaves_at is None:
        return f"{against} for all {lane.compared} tokens compared."
    return (
        f"{against} up to token {lane.leaves_at}; "
        f"{lane.agreeing} of the first {lane.counted} are the same."
    )


@app.command(cls=LoggedCommand)
def delete(ids: OptionalIds = None, everything: All = False, confirmed: Yes = False) -> int:
    """Delete some results, or all."""
    if everything == bool(ids):
        raise BadInput("Say what to delete.", "Give ids, or --all with --yes.")
    with opened() as store:
        for entry_id in ids or []:
            if not store.delete(entry_id):
                raise unknown(entry_id)
            print(f"{entry_id} is deleted.")
        if everything and not confirmed:
            raise BadInput(
                f"This deletes all {store.count()} of the history.", "Add --yes to do it."
            )
        if everything:
            print(f"{store.delete_all()} deleted; the history is empty.")
    return OK


@app.command(cls=LoggedCommand)
def export(
    ids: Ids, form: Format = "json", chart: ChartName = None, output: Output = STDOUT
) -> int:
    """Write results as JSON, CSV, a Markdown table or a PNG."""
    with opened() as store:
        entries = [entry_of(store, entry_id) for entry_id in ids]
    to_stdout = output == STDOUT
    if form == PNG and to_stdout and sys.stdout.isatty():
        raise BadInput("A terminal shows no picture.", "Name a file with --output.")
    if form != PNG and chart:
        raise BadInput("Only a PNG shows a chart.", "Add --format png, or leave out --chart.")
    if form == PNG:
        data = picture(entries, chart)
    else:
        # Without a byte order mark Excel reads a CSV file in the system's old code page.
        encoding = "utf-8-sig" if form == "csv" and not to_stdout else "utf-8"
        data = FORMATS[form](entries).encode(encoding, "replace")
    if to_stdout:
        # As bytes: on Windows, text would get a second CR at the end of each line of CSV.
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return OK
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise BadInput(
            f"{output} cannot be written: {error.strerror}.",
            "Choose a file in a folder that you can write to.",
        ) from error
    return OK


def picture(entries: list[Entry], chart: str | None) -> bytes:
    """A PNG of one result (default: latencies of a benchmark, speeds of a run), or of sharing."""
    if len(entries) == 1:
        [entry] = entries
        default = charts.LATENCY if entry.kind == history.BENCH else charts.SPEED
        return charts.png(entry.result, chart or default)
    if len(entries) == 2 and chart in (None, charts.SHARING):
        one, other = entries
        return charts.png(one.result, charts.SHARING, other=other.result)
    raise BadInput(
        f"A picture shows one result, or two with --chart {charts.SHARING}.",
        "Export them one by one.",
    )


@app.command("import", cls=LoggedCommand)
def import_file(file: ImportFile) -> int:
    """Add the results of a JSON export to the history."""
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read: {error.strerror}.", "Name a file of JSON."
        ) from error
    # PowerShell's `>` writes UTF-16, which the byte order mark reveals.
    entries = history.import_json(data.decode(json.detect_encoding(data), "replace"))
    with opened() as store:
        for entry in entries:
            print(f"Imported as {store.add(entry)}.")
    return OK


def entry_of(store: History, entry_id: int) -> Entry:
    entry = store.get(entry_id)
    if entry is None:
        raise unknown(entry_id)
    return entry


def unknown(entry_id: int) -> PlaygroundError:
    return BadInput(
        f"There is no {entry_id} in the history.", "`python -m playground history` lists its IDs."
    )


def plain(text: str) -> str:
    """Without control characters, so that an imported text cannot control the terminal."""
    return "".join(char if char in "\n\t" or char.isprintable() else " " for char in text)


commands = typer.main.get_command(app)
