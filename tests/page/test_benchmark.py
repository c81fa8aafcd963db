"""The Benchmark tab in a real browser: how a benchmark starts, goes, ends and is kept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from playground.bench import memory_bandwidth
from playground.history import to_markdown
from playground.history.entry import Entry
from playground.lanes.lane import Lane, parse, parse_all
from playground.models import DEFAULT_MODEL
from playground.page.access import OWNER_ONLY
from playground.page.benchmark import job as bench_job
from playground.page.benchmark.charts import ChartImages
from playground.page.benchmark.job import BenchmarkJob
from playground.page.compare.handlers import BENCHMARK, NEVER_BEGAN
from playground.page.jobs import IDLE
from playground.runs.benchmark_record import MemoryCopy
from tests.page.test_tabs import post, wait_until
from tests.support.served_page import ELSEWHERE, TWO, Served, press_run, state

pytest_plugins = ["tests.support.page_fixtures"]

FAST, OTHER = parse_all(["fake:CPU:5000tps", "fake:CPU:2000tps"])
SLOW = parse("fake:CPU:5tps")  # so slow that it is measuring until it is called off
BREAKS = Lane("raisesforaperson", "CPU", "none")
STUB_COPY = MemoryCopy(copy_gbs=10.0, threads=2, array_mb=1.0, passes=1)
MINUTE = 60_000


@pytest.fixture(autouse=True)
def benching(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[BenchmarkJob]:
    """The page's benchmark, which is over when the test is; without its charts."""
    monkeypatch.setattr(memory_bandwidth, "measure", lambda: STUB_COPY)
    monkeypatch.setattr(bench_job, "draw", lambda result: [])
    job = served.page.benchmark_job
    job.state = IDLE  # whatever the test before has left
    yield job
    job.cancel()
    wait_until(lambda: not job.working)


@pytest.fixture
def tab(visit: Callable[..., Page], served: Served) -> Callable[..., Page]:
    """Open the tab with these lanes chosen."""

    def open_tab(*lanes: Lane, **visitor: Any) -> Page:
        served.choices.choose(list(lanes or TWO), DEFAULT_MODEL)
        page = visit(tab="Benchmark", **visitor)
        expect(page.locator("#bench-lanes .token")).to_have_count(len(lanes or TWO))
        return page

    return open_tab


def fill(page: Page, lengths: str = "8, 16", **numbers: int) -> None:
    page.locator("#bench-lengths").get_by_role("textbox").fill(lengths)
    for name, number in {"new-tokens": 20, "runs": 2, "warm-up": 0, **numbers}.items():
        page.locator(f"#bench-{name.replace('_', '-')} input").fill(str(number))


def start(page: Page, lengths: str = "8, 16", **numbers: int) -> None:
    fill(page, lengths, **numbers)
    page.locator("#bench-start").click()


def go_on(page: Page) -> None:
    """Start one that takes longer than any test."""
    start(page, new_tokens=2_000)
    says(page, "measuring")


def says(page: Page, word: str) -> None:
    """Wait until the benchmark's state says so."""
    expect(page.locator("#benching .state span")).to_contain_text(word, timeout=MINUTE)


def figures(page: Page) -> list[list[str]]:
    """The cells of all rows, without the lanes' names."""
    lines = page.locator("#bench tbody tr:not(.lane-name, .row-note)").all()
    return [line.locator("th, td").all_inner_texts() for line in lines]


def downloaded(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_the_table_has_the_figures_of_the_result_for_everybody_and_it_is_kept(
    tab: Callable[..., Page],
    served: Served,
    benching: BenchmarkJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(served.arena, "keep_benchmark", kept.append)
    page, other = tab(FAST, OTHER), tab(FAST, OTHER, host=ELSEWHERE)
    fill(page)
    expect(page.locator("#bench-note")).to_contain_text("8 runs: 2 lanes × 2 lengths × 2")
    page.locator("#bench-start").click()
    for visitor in (page, other):
        says(visitor, "done")
        expect(visitor.locator("#bench .lane-name")).to_have_count(2)
    result = benching.result
    assert result is not None and kept == [result]
    expected = [
        [
            str(row.prompt_tokens),
            f"{row.decode_tps:.1f}{row.p5.decode_tps:.1f}–{row.p95.decode_tps:.1f}",
            f"{row.ttft_ms:.0f}",
            f"{row.tpot_ms:.2f}",
            "n/a",
            "n/a",
        ]
        for row in result.results
    ]
    shown = [["".join(cell.split()) for cell in line] for line in figures(page)]
    assert (
        shown == expected == [["".join(cell.split()) for cell in line] for line in figures(other)]
    )
    expect(page.locator(".bench .how")).to_contain_text("median and p5–p95 of 2 runs, no warm-up")
    expect(page.locator(".bench .on")).to_contain_text("memory copy bandwidth 10.0 GB/s")
    assert other.locator(".bench .actions:visible").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_result_is_drawn_in_the_page_s_theme_saved_and_copied(
    tab: Callable[..., Page], benching: BenchmarkJob, monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    one = ChartImages("tpot", "Latency", "What it shows.", svg("light"), svg("dark"), b"\x89PNG")
    monkeypatch.setattr(bench_job, "draw", lambda result: [one])
    page = tab(FAST, theme=theme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    start(page, runs=1)
    says(page, "done")
    shown = page.locator(".bench figure img:visible")
    expect(shown).to_have_class(f"in-{theme}")
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 40
    result = benching.result
    assert result is not None
    assert downloaded(page, "Save as PNG") == ("tpot.png", b"\x89PNG")
    name, content = downloaded(page, "Save JSON")
    assert (name, json.loads(content)) == ("benchmark.json", result.as_json())
    name, content = downloaded(page, "Save CSV")
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [float(row["decode_tps"]) for row in rows] == [row.decode_tps for row in result.results]
    page.get_by_role("button", name="Copy as Markdown").click()
    expect(page.locator(".bench .actions span")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == to_markdown([Entry(result)])
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_cancel_keeps_what_is_finished_and_says_so(tab: Callable[..., Page]) -> None:
    page = tab(FAST, SLOW)
    start(page, runs=1, new_tokens=2_000)
    expect(page.locator("#benching .detail")).to_contain_text("Run 2 of 4 · ", timeout=MINUTE)
    expect(page.locator("#benching .detail")).to_contain_text(" left · 8 prompt tokens")
    expect(page.locator("#benching .progress")).to_have_attribute("aria-valuenow", "25")
    expect(page.locator("#bench .none")).to_have_text("measuring")
    expect(page.locator(".busy span")).to_have_text("engines busy")
    finished = figures(page)[0]
    page.locator("#benching .cancel").click()
    says(page, "cancelled")
    expect(page.locator("#benching .detail")).to_have_text("The runs that had finished are below.")
    expect(page.locator("#bench .row-note")).to_have_text("Stopped before a run had finished.")
    assert figures(page)[0] == finished


def test_a_failing_lane_says_so_and_the_others_are_measured(tab: Callable[..., Page]) -> None:
    page, other = tab(FAST, BREAKS), tab(FAST, BREAKS, host=ELSEWHERE)
    start(page, "8", runs=1)
    says(page, "done")
    expect(page.locator("#bench .row-note")).to_have_text(
        "There is no such device. Choose another."
    )
    expect(page.locator("#bench .rate")).to_have_count(1)
    expect(other.locator("#bench .row-note")).to_have_text("failed")


@pytest.mark.parametrize(
    ("box", "typed", "sentence"),
    [
        ("lengths", "32, many", "“32, many” is not a list of prompt lengths. Write whole numbers"),
        ("lengths", "32, 32", "A prompt length is given twice."),
        ("runs", "0", "The number of runs cannot be 0. Give a whole number from 1"),
        ("new-tokens", "", "The number of new tokens is missing."),
    ],
)
def test_wrong_settings_get_a_sentence_at_once_and_start_nothing(
    tab: Callable[..., Page], benching: BenchmarkJob, box: str, typed: str, sentence: str
) -> None:
    page, version = tab(FAST), benching.version
    page.locator(f"#bench-{box}").locator("input, textarea").fill(typed)
    expect(page.locator("#bench-note")).to_contain_text(sentence)
    page.locator("#bench-start").click()
    expect(page.locator("#bench-note")).to_contain_text(sentence)
    assert benching.version == version and not benching.working


def test_a_second_benchmark_is_refused_while_one_is_under_way(tab: Callable[..., Page]) -> None:
    page, other = tab(SLOW), tab(FAST)
    go_on(page)
    start(other)
    expect(other.locator("#bench-note")).to_contain_text(
        "Benchmark is in progress. Wait for it, or"
    )


def test_others_can_neither_start_nor_cancel_nor_save(
    tab: Callable[..., Page], served: Served, benching: BenchmarkJob
) -> None:
    page, other = tab(SLOW), tab(SLOW, host=ELSEWHERE)
    go_on(page)
    says(other, "measuring")
    expect(other.locator("#bench .only-here")).to_be_visible()
    assert other.locator("#bench-start:visible, #benching .cancel:visible").count() == 0
    there = {"host": ELSEWHERE}
    post(served, "arrive", [], {"host": "localhost"})  # the session is the owner's
    settings = [DEFAULT_MODEL, ["fake:CPU:40tps"], "8", 20, 1, 0, "in-turn"]
    for name in ("start", "check"):
        assert OWNER_ONLY in post(served, name, settings, there)
    assert OWNER_ONLY in post(served, "choose_model", ["/etc", []], there)
    post(served, "cancel_benchmark", [], there)
    assert benching.working and not benching.cancelled.is_set()


def test_a_run_waits_for_the_benchmark_and_goes_on_after_it(
    tab: Callable[..., Page], served: Served
) -> None:
    page = tab(SLOW)
    go_on(page)
    page.get_by_role("tab", name="Compare").click()
    press_run(page, tokens=10)
    expect(page.locator("#status")).to_contain_text(BENCHMARK)
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text(NEVER_BEGAN)
    press_run(page, tokens=3)
    expect(page.locator("#status")).to_contain_text(BENCHMARK)
    assert not served.arena.busy
    page.get_by_role("tab", name="Benchmark").click()
    page.locator("#benching .cancel").click()
    page.get_by_role("tab", name="Compare").click()
    state(page, 0, "ok")


def test_a_benchmark_waits_for_the_run_that_is_under_way(
    tab: Callable[..., Page], benching: BenchmarkJob
) -> None:
    page = tab(*TWO)
    page.get_by_role("tab", name="Compare").click()
    press_run(page, tokens=2_000)
    state(page, 0, "running")
    page.get_by_role("tab", name="Benchmark").click()
    start(page, "8", runs=1, new_tokens=2)
    expect(page.locator("#benching .detail")).to_have_text("for the run on the Compare tab to end")
    assert benching.result is None
    page.get_by_role("tab", name="Compare").click()
    page.locator("#stop").click()
    page.get_by_role("tab", name="Benchmark").click()
    says(page, "done")


def test_other_lanes_chosen_meanwhile_are_loaded_when_it_has_ended(
    tab: Callable[..., Page], served: Served
) -> None:
    page = tab(SLOW)
    go_on(page)
    served.choices.choose(TWO, DEFAULT_MODEL)
    assert not served.arena.hosts[TWO[0]].worker.alive
    page.locator("#benching .cancel").click()
    wait_until(lambda: served.arena.hosts[TWO[0]].is_ready(DEFAULT_MODEL))
    wait_until(lambda: not served.arena.hosts[SLOW].worker.alive)


def svg(name: str) -> str:
    """A stub of a chart, 40 pixels wide."""
    size = 'width="40" height="20"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><title>{name}</title></svg>'
