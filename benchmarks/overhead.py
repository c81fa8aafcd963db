"""What worker, pipe and arena cost: a warm lane over the same engine in a bare loop."""

from __future__ import annotations

import time
from statistics import median

import psutil

from benchmarks.pairs import Bare, Row, ratio
from playground.arena import Arena
from playground.lanes.lane import Lane, parse
from playground.lanes.tokenizers import tokenizer_of
from playground.models import DEFAULT_MODEL, lane_folder
from playground.runs.record import Record
from playground.runs.request import Request

PROMPT = "Write a long story about a lighthouse keeper who finds a map."
TOKENS = 256
ROUNDS = 3


def run(arena: Arena, lane: Lane, tokens: int = TOKENS) -> Record:
    """One run of one lane to its full length; its record."""
    request = Request(PROMPT, (lane,), max_new_tokens=tokens, ignore_eos=True)
    running = arena.start(request)
    running.done.wait()
    record = running.result().lanes[0]
    assert record.status == "ok", record.error
    return record


def decode(arena: Arena, name: str, pairs: int) -> list[Row]:
    """Lane over bare engine, and the bare engine over itself.

    Every pair has fresh processes: one process may be a tenth slower than its twin for as long as
    it lives, and only many of them tell such luck from a cost.
    """
    lane = parse(name)
    run(arena, lane, 16)  # makes what is missing
    prompt = tokenizer_of(lane, DEFAULT_MODEL).ids(PROMPT)
    folder = lane_folder(DEFAULT_MODEL, lane.format, lane.precision)
    rates: list[tuple[float, float]] = []
    itself: list[tuple[float, float]] = []
    for _ in range(pairs):
        arena.hosts[lane].worker.close()
        with Bare(lane.backend, folder) as bare, Bare(lane.backend, folder) as twin:
            run(arena, lane, 64)
            rounds = [
                (
                    bare.tps(prompt, TOKENS),
                    run(arena, lane).decode_tps or 0.0,
                    twin.tps(prompt, TOKENS),
                )
                for _ in range(ROUNDS)
            ]
        one, ours, other = (median(figures) for figures in zip(*rounds, strict=True))
        rates.append((ours, (one + other) / 2))
        itself.append((one, other))
    arena.hosts[lane].worker.close()
    middle, note = ratio(rates)
    twins, note_twins = ratio(itself)
    speed = f"lane {median(a for a, _ in rates):.0f} tok/s"
    return [
        Row(f"{name}: lane / bare engine", f"{middle:.3f}", "≥ 0.97", f"{note}, {speed}"),
        Row(f"{name}: bare engine / its twin", f"{twins:.3f}", "", note_twins),
    ]


def ttft(arena: Arena, runs: int = 21) -> list[Row]:
    """What lies between the prompt and the engine: template, tokenizer, pipe."""
    rows = []
    for name in ("openvino-genai:CPU:int8", "fake:CPU:500tps"):
        records = [run(arena, parse(name), 4) for _ in range(runs)]
        gaps = sorted(
            (figures.ttft_user_ms or 0.0) - (figures.ttft_ms or 0.0) for figures in records
        )
        note = f"{runs} runs, at most {gaps[-1]:.1f} ms"
        rows.append(Row(f"{name}: ttft_user − ttft", f"{median(gaps):.1f} ms", "≤ 15 ms", note))
    return rows


def parent_cpu(arena: Arena) -> Row:
    """CPU time of the parent for 1,000 tokens with nobody watching."""
    lanes = tuple(parse(name) for name in ("fake:CPU:100tps", "fake:CPU:101tps"))
    request = Request(PROMPT, lanes, max_new_tokens=1_000, ignore_eos=True)
    for lane in lanes:
        arena.hosts[lane].make_ready(request.model)
    process = psutil.Process()
    before, began = process.cpu_times(), time.monotonic()
    arena.start(request).done.wait()
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    note = f"2 lanes of 100 tok/s for {time.monotonic() - began:.0f} s, whole process"
    return Row("parent CPU per 1,000 tokens, unwatched", f"{1000 * spent / 2:.0f} ms", "", note)
