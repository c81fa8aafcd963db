"""`python -m playground ask`: one prompt, the answers of several lanes."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from playground.arena import Arena
from playground.cli import render
from playground.cli.command import FAILED, OK, print_notice
from playground.cli.lanes import chosen_lanes
from playground.cli.options import AsJson, Force, Lanes, Mode, Model, NoHistory
from playground.cli.output import print_json
from playground.history import History
from playground.models import DEFAULT_MODEL, check
from playground.runs.record import TOGETHER
from playground.runs.request import Request

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt; - reads it from stdin.")]
MaxNewTokens = Annotated[
    int, typer.Option("--max-new-tokens", metavar="N", help="Maximum length of an answer.")
]
Temperature = Annotated[
    float, typer.Option("--temperature", metavar="T", help="Sampling temperature; 0 is greedy.")
]
System = Annotated[str, typer.Option("--system", metavar="TEXT", help="System prompt.")]


def ask(
    prompt: Prompt,
    model: Model = DEFAULT_MODEL,
    lanes: Lanes = "",
    mode: Mode = TOGETHER,
    max_new_tokens: MaxNewTokens = 256,
    temperature: Temperature = 0.0,
    system: System = "",
    force: Force = False,
    as_json: AsJson = False,
    no_history: NoHistory = False,
) -> int:
    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    request = Request(
        prompt=prompt,
        lanes=tuple(chosen_lanes(lanes)),
        mode=mode,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        system=system,
        model=check(model),
    )
    with closing(Arena(None if no_history else History())) as arena:
        arena.hosts.force = force
        run = arena.start(request)
        if as_json:
            result = render.wait_for(run)
            print_json(result.as_json())
        else:
            result = render.stream(run)
    print_notice(arena.history_writer.notice)
    return OK if all(record.status == "ok" for record in result.lanes) else FAILED
