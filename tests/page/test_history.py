"""The History tab in a real browser: runs and benchmarks that were kept, what is done to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from playground.history import Entry, History, import_json, to_csv, to_markdown
from playground.page.access import OWNER_ONLY
from playground.page.history.gauges import curves
from playground.page.history.handlers import GUEST, OFF
from tests.support import measured
from tests.support.served_page import ELSEWHERE, Served, press_run, state

pytest_plugins = ["tests.support.page_fixtures"]

HOSTILE = "${window.hacked='template'}<img src=x onerror=window.hacked='img'>**bold**"
INT8, INT4 = "openvino-genai:CPU:int8", "onnx-genai:CPU:int4"


@pytest.fixture
def history(served: Served, tmp_path: Path) -> Iterator[History]:
    """An empty one, which the page keeps and shows from now on."""
    history = History(tmp_path / "history.sqlite")
    served.arena.history_writer.history = history
    yield history
    served.arena.history_writer.history = None


def keep(
    history: History, *records: dict[str, Any], mode: str = "together", **settings: Any
) -> Entry:
    """A run that was measured earlier."""
    run_settings = measured.settings(mode=mode, **settings)
    entry = history.get(
        history.add(measured.entry(measured.result(*records, mode=mode), run_settings))
    )
    assert entry is not None
    return entry


def opened(visit: Callable[..., Page], row: int = 0, **visitor: Any) -> Page:
    """A visitor who has opened one of the list."""
    page = visit(tab="History", **visitor)
    page.locator(".history .run").nth(row).click()
    expect(page.locator(".opened h2")).to_be_visible()
    return page


def two(tps: float) -> list[dict[str, Any]]:
    return [measured.record(lane, decode_tps=tps) for lane in (INT8, INT4)]


def downloaded(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


# To find and to open


def test_a_run_appears_by_itself_and_opens_with_the_figures_of_its_record(
    visit: Callable[..., Page], history: History
) -> None:
    page, other = visit(tab="History"), visit()
    expect(page.locator(".history .why")).to_contain_text("Nothing yet")
    press_run(other, tokens=40, prompt=HOSTILE)
    state(other, 1, "ok")
    row = page.locator(".history .run")
    expect(row.locator(".prompt")).to_have_text(HOSTILE)
    expect(row).to_contain_text("Together, figures contended")

    row.click()
    [summary] = history.find()
    kept = history.get(summary.id)
    assert kept is not None
    record = kept.records[1]
    card = page.locator(".kept").nth(1)
    expect(card.locator(".big b")).to_have_text(f"{record.decode_tps:.1f}")
    expect(card.locator(".big")).to_contain_text("contended")
    figures = card.locator("dl > div")
    expect(figures.nth(0)).to_contain_text(f"{record.ttft_ms:.0f} ms")
    expect(figures.nth(1)).to_contain_text(f"{record.tpot_ms:.1f} ms")
    expect(figures.nth(4)).to_contain_text("40 tokens")
    expect(figures.nth(8)).to_contain_text("n/a")
    expect(card.locator(".words")).to_have_text(record.text)
    expect(page.locator(".opened .words").first).to_have_text(HOSTILE)
    expect(page.locator(".opened .gauge").first).to_contain_text("CPU")
    assert page.evaluate("window.hacked") is None


def test_what_is_typed_is_found_and_more_shows_more(
    visit: Callable[..., Page], history: History
) -> None:
    for number in range(22):
        keep(history, prompt=f"Question {number}")
    page = visit(tab="History")
    rows = page.locator(".history .run")
    expect(rows).to_have_count(20)
    expect(rows.first).to_contain_text("Question 21")
    page.locator(".history .more").click()
    expect(rows).to_have_count(22)
    expect(page.locator(".history .more")).to_be_hidden()
    page.get_by_label("Search prompts").fill("question 7")
    expect(rows).to_have_count(1)
    page.get_by_label("Search prompts").fill("${no such}")
    expect(page.locator(".history .why")).to_have_text(
        "No prompt, model or lane contains “${no such}”."
    )


def test_a_lane_that_failed_says_why_and_what_to_do(
    visit: Callable[..., Page], history: History
) -> None:
    error = {"message": f"It broke: {HOSTILE}.", "fix": "Mend it."}
    nothing: dict[str, Any] = {"decode_tps": None, "ttft_ms": None, "text": ""}
    keep(history, measured.record(status="error", error=error, **nothing))
    page = opened(visit)
    expect(page.locator(".kept .error")).to_have_text(f"It broke: {HOSTILE}. Mend it.")
    expect(page.locator(".kept .big b")).to_have_text("n/a")
    assert page.evaluate("window.hacked") is None


def test_a_benchmark_opens_as_a_table_of_medians_with_their_spread(
    visit: Callable[..., Page], history: History
) -> None:
    spread: dict[str, Any] = {"p5": {"decode_tps": 40.0}, "p95": {"decode_tps": 43.5}}
    short, long = [measured.record(prompt_tokens=n, **spread) for n in (32, 1024)]
    history.add(measured.entry(measured.bench(short, long)))
    page = opened(visit)
    rows = page.locator(".opened tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("OpenVINO GenAI · CPU · int8")
    expect(rows.nth(1)).to_contain_text("1,024")
    expect(rows.nth(1)).to_contain_text("41.240.0–43.5")
    assert page.locator(".opened .repeat").count() == 0


def test_lanes_tell_where_they_leave_the_highest_precision_and_the_words_are_marked(
    visit: Callable[..., Page], history: History
) -> None:
    ids = measured.record()["token_ids"]
    answer = "The capital of France is Lyon."
    other: dict[str, Any] = {"token_ids": [*ids[:5], 9, 9], "text": answer}
    lanes = [measured.record(INT8), measured.record(INT4, **other)]
    keep(history, *lanes)
    keep(history, *lanes, temperature=0.7)
    page = opened(visit, row=1)
    section = page.locator(".opened section", has_text="Agreement is not quality")
    expect(section).to_contain_text("deviates at token 6; 5 of the first 7 tokens are the same")
    section.get_by_role("button", name="Show the difference").click()
    expect(section.locator(".words del")).to_have_text("Paris")
    expect(section.locator(".words ins")).to_have_text("Lyon")
    page.locator(".opened [data-event=back]").click()
    page.locator(".history .run").first.click()
    expect(page.locator(".kept")).to_have_count(2)
    expect(page.get_by_text("Agreement is not quality")).to_have_count(0)


# To repeat and to compare


def test_repeat_fills_the_compare_tab_and_says_which_lane_is_lacking(
    visit: Callable[..., Page], history: History
) -> None:
    lanes = [measured.record(lane) for lane in ("fake:CPU:20tps", "foke:CPU:int8")]
    question = {"prompt": "Say it again.", "system": "Be brief.", "max_new_tokens": 7}
    keep(
        history, *lanes, mode="in-turn", temperature=0.5, model="SmolLM2-135M-Instruct", **question
    )
    page = opened(visit)
    page.get_by_role("button", name="Repeat with the same settings").click()
    state(page, 0, "ready")
    expect(page.locator("#status li")).to_have_text(
        ["foke:CPU:int8: There is no lane “foke:CPU:int8”."]
    )
    expect(page.locator(".lane-0 [data-text=precision]")).to_have_text("20tps")
    expect(page.locator(".lane-1")).to_have_count(0)
    page.locator("#run").click()
    state(page, 0, "ok")
    page.get_by_role("tab", name="History").click()
    page.locator(".opened [data-event=back]").click()
    expect(page.locator(".history .run")).to_have_count(2)
    again = history.get(history.find()[0].id)
    assert again is not None
    kept = {"mode": "in-turn", "temperature": 0.5, "lanes": ["fake:CPU:20tps"], **question}
    assert {name: getattr(again.settings, name) for name in kept} == kept


def test_a_run_of_which_no_lane_is_left_is_not_repeated(
    visit: Callable[..., Page], history: History
) -> None:
    keep(history, measured.record("foke:CPU:int8"))
    page = opened(visit)
    page.locator(".opened .repeat").click()
    expect(page.locator("#history-note")).to_contain_text("can run none of its lanes")
    expect(page.locator(".opened h2")).to_be_visible()


def test_two_are_compared_with_what_sharing_the_machine_costs(
    visit: Callable[..., Page], history: History
) -> None:
    keep(history, *two(40.0), mode="in-turn")
    keep(history, *two(10.0))
    page = opened(visit)
    page.get_by_role("button", name="Compare with …").click()
    expect(page.locator(".choosing")).to_contain_text("Choose what to compare with the run of")
    page.locator(".history .run").click()  # the other one alone is there
    pair = page.locator(".pair")
    lane = pair.locator("section", has=page.get_by_role("heading", name="int4"))
    expect(lane.locator("tr", has_text="tokens/s")).to_have_text("tokens/s10.040.04.00×")
    costs = pair.locator("section", has_text="What sharing the machine costs")
    expect(costs.locator("tbody tr").first).to_contain_text("40.010.00.25×")
    differing = pair.locator("section", has_text="Settings that differ")
    expect(differing.locator("tbody tr")).to_have_text(["modeTogetherIn turn"])
    name, picture = downloaded(page, costs.get_by_role("button").inner_text())
    assert name.endswith("-sharing.png") and picture.startswith(b"\x89PNG")
    pair.locator(".back").click()
    expect(page.locator(".history .run")).to_have_count(2)


# To hand on and to delete


def test_exports_are_what_the_command_line_writes_and_come_back_equal(
    visit: Callable[..., Page], history: History
) -> None:
    kept = keep(history, measured.record(text=HOSTILE), prompt="日本語 é")
    page = opened(visit)
    name, content = downloaded(page, "JSON")
    [again] = import_json(content.decode())
    assert name == f"playground-run-{kept.id}.json"
    assert (again.settings, again.result, again.made_at) == (
        kept.settings,
        kept.result,
        kept.made_at,
    )
    assert downloaded(page, "CSV")[1].decode("utf-8-sig") == to_csv([kept])
    assert downloaded(page, "Markdown")[1].decode() == to_markdown([kept])
    assert downloaded(page, "Tokens per second")[1].startswith(b"\x89PNG")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy Markdown").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == to_markdown([kept])


def test_deleting_one_or_all_asks_back(visit: Callable[..., Page], history: History) -> None:
    for number in range(3):
        keep(history, prompt=f"Question {number}")
    page = opened(visit)
    page.get_by_role("button", name="Delete …").click()
    page.locator(".opened .no").click()
    page.get_by_role("button", name="Delete …").click()
    page.locator(".opened .yes").click()
    expect(page.locator(".history .run .prompt")).to_have_text(["Question 1", "Question 0"])
    page.get_by_role("button", name="Delete all …").click()
    expect(page.locator(".history .confirm")).to_contain_text("Delete all 2?")
    assert history.count() == 2
    page.locator(".history .yes").click()
    expect(page.locator(".history .why")).to_contain_text("Nothing yet")
    assert history.count() == 0


def test_what_was_deleted_elsewhere_gets_a_sentence(
    visit: Callable[..., Page], history: History
) -> None:
    keep(history)
    page = visit(tab="History")
    expect(page.locator(".history .run")).to_have_count(1)
    history.delete_all()
    page.locator(".history .run").click()
    expect(page.locator("#history-note")).to_contain_text("This entry no longer exists.")


# Who may, and a file that cannot be used


def test_a_visitor_from_elsewhere_sees_one_sentence_and_leaves_nothing(
    visit: Callable[..., Page], history: History
) -> None:
    keep(history, prompt="a secret of the owner")
    page = visit(host=ELSEWHERE)
    press_run(page, tokens=5)
    state(page, 1, "ok")
    page.get_by_role("tab", name="History").click()
    expect(page.locator(".history .why")).to_have_text(GUEST)
    assert page.locator("#find:visible, .history button:visible, .history .run").count() == 0
    assert "secret" not in page.content()
    assert history.count() == 1


@pytest.mark.parametrize(
    "headers", [{"host": ELSEWHERE}, {"host": "localhost", "x-forwarded-for": "127.0.0.1"}]
)
def test_requests_of_others_are_refused_whatever_they_ask(
    served: Served, history: History, headers: dict[str, str]
) -> None:
    kept = keep(history, prompt="a secret of the owner")
    event_data = {"id": kept.id, "what": "json", "lane": INT8}
    names = {fn.name for fn in handlers(served)}
    for fn in handlers(served):
        data = ["secret"] if fn.name == "find" else []
        sent = {
            "data": data,
            "fn_index": fn._id,
            "session_hash": "forged",
            "event_data": event_data,
        }
        answer = httpx.post(
            f"{served.address}gradio_api/run/predict", json=sent, headers=headers, timeout=60
        )
        text = json.dumps(answer.json(), ensure_ascii=False)
        assert "secret" not in text, fn.name
        assert any(sentence in text for sentence in (GUEST, OWNER_ONLY)), fn.name
    assert names >= {"find", "more", "open", "differ", "export", "repeat", "delete", "delete_all"}
    assert history.count() == 1


def handlers(served: Served) -> list[Any]:
    """The events of the tab."""
    of = "playground.page.history.handlers"
    return [fn for fn in served.page.blocks.fns.values() if getattr(fn.fn, "__module__", "") == of]


def test_without_a_history_the_tab_says_how_to_have_one(visit: Callable[..., Page]) -> None:
    page = visit(tab="History")
    expect(page.locator(".history .why")).to_have_text(" ".join(OFF))
    assert page.locator("#find:visible").count() == 0


def test_a_damaged_file_and_one_that_cannot_be_used_get_a_sentence(
    visit: Callable[..., Page], history: History
) -> None:
    history.path.write_bytes(b"no database" * 1000)
    page = visit(tab="History")
    expect(page.locator(".history .why.bad")).to_contain_text("It is now")
    history.path.unlink()
    history.path.mkdir()
    again = visit(tab="History")
    expect(again.locator(".history .why.bad")).to_contain_text("The history cannot be used")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(
    visit: Callable[..., Page], history: History, theme: str
) -> None:
    long = measured.record(text="W" * 2_000, device_name="A processor " * 20)
    for mode in ("together", "in-turn"):
        keep(history, long, measured.record(INT4), prompt="m" * 3_000, mode=mode)
    page = visit(width=375, theme=theme, tab="History")
    for press, there in (
        (".history .run", ".history .runs"),
        (".opened .with", ".opened .kept"),
        (".history .run", ".choosing"),
        (".pair .back", ".pair table"),
    ):
        expect(page.locator(there).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.locator(press).first.click()


def test_gauges_are_means_by_time_and_junk_of_an_import_is_left_out() -> None:
    def sample(begin: int, end: int, **read: Any) -> dict[str, Any]:
        return {"began_ns": begin, "ended_ns": end, "cpu_percent": None, **read}

    npu = {"name": "Intel NPU", "percent": 80.0}
    samples = [
        sample(0, 1_000_000_000, cpu_percent=10.0, npus=[npu]),
        sample(1_000_000_000, 4_000_000_000, cpu_percent=50.0, meters="none"),
        sample(5, 5, cpu_percent=99.0),
        "no sample",
    ]
    cpu, of_npu = curves(samples)
    assert (cpu["label"], cpu["value"], cpu["unit"]) == ("CPU", "40", "%")
    assert cpu["points"] == [[25.0, 10.0], [100.0, 50.0]]
    assert (of_npu["label"], of_npu["value"]) == ("NPU Intel NPU", "80")
    assert curves([]) == []
