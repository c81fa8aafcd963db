"""The page in a real browser, on real workers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from backends.fake import TEXT
from playground.errors import WorkerError
from playground.gauges.readings import Sample
from playground.lanes import host as lane_host
from playground.lanes.lane import Lane, LaneStatus, parse
from playground.models import DEFAULT_MODEL, Stage
from playground.page.compare.card import card
from playground.page.compare.tab import MAX_COLUMNS
from playground.page.components import Updates
from playground.page.sessions import Session
from playground.runs.request import Request
from tests.support.served_page import TWO, Served, choose, press_run, shape, state, tokens_of

pytest_plugins = ["tests.support.page_fixtures"]
HOSTILE = "${window.hacked='template'} <img src=x onerror=\"window.hacked='img'\">"


@pytest.fixture
def attacker() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that notes who connects, whatever they ask."""
    hits: list[str] = []

    class Noting(ThreadingHTTPServer):
        daemon_threads = True

        def verify_request(self, request: Any, address: Any) -> bool:
            hits.append(str(address))
            return False

    with Noting(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", hits
        server.shutdown()


def test_two_columns_grow_at_the_same_time(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=100)
    seen = [(0, 0)]
    while seen[-1][1] < 60:
        seen.append((tokens_of(page, 0), tokens_of(page, 1)))
        page.wait_for_timeout(100)
    both_grew = [a[0] < b[0] and a[1] < b[1] for a, b in zip(seen, seen[4:], strict=False)]
    assert sum(both_grew) > 5
    state(page, 0, "ok")
    assert "runs no model" in page.locator(".lane-0 .block.answer").inner_text()
    assert 30 < float(page.locator(".lane-0 [data-text=tps]").inner_text()) < 45
    assert "ms" in page.locator(".lane-0 [data-text=ttft]").inner_text()
    assert "contended" in page.locator(".lane-0 [data-text=unit]").inner_text()


def test_in_turn_the_second_column_waits_for_the_first(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=40, mode="In turn")
    state(page, 0, "ok")
    assert tokens_of(page, 1) < 30
    state(page, 1, "ok")
    assert "contended" not in page.locator(".lane-1 [data-text=unit]").inner_text()


def test_the_answer_is_shown_as_markdown(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=60)
    expect(page.locator(".lane-0 .block.answer strong")).to_have_text("replayed")


def test_stop_ends_all_columns_and_keeps_what_was_said(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=2_000)
    page.wait_for_function("document.querySelector('.lane-1 [data-text=tokens]').innerText > 10")
    page.locator("#stop").click()
    for column in (0, 1):
        state(page, column, "stopped")
        assert 10 < tokens_of(page, column) < 200
        assert "This answer" in page.locator(f".lane-{column} .block.answer").inner_text()
    expect(page.locator(".lane-0 [data-text=label]")).to_have_text("stopped")


def test_stop_in_a_column_ends_that_one_only(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=120)
    page.wait_for_function("document.querySelector('.lane-0 [data-text=tokens]').innerText > 5")
    page.locator(".lane-0 .stop-one").click()
    state(page, 0, "stopped")
    state(page, 1, "ok")
    assert (tokens_of(page, 0) < 110, tokens_of(page, 1)) == (True, 120)


def test_a_failing_column_shows_a_sentence_and_a_fix_and_the_others_go_on(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    choose(page, "RaisesForAPerson", "40tps")
    state(page, 0, "failed")
    expect(page.locator(".lane-0 .error")).to_have_text("There is no such device. Choose another.")
    state(page, 1, "ready")
    press_run(page, tokens=20)
    state(page, 1, "ok")
    assert tokens_of(page, 1) == 20


def test_choosing_lanes_loads_and_unloads_their_workers(
    visit: Callable[..., Page], served: Served
) -> None:
    page = visit()
    choose(page, "40tps")
    page.wait_for_selector(".lane-1", state="detached")
    end = time.monotonic() + 10
    while set(served.arena.hosts.pids()) != {"fake:CPU:40tps"}:
        assert time.monotonic() < end, served.arena.hosts.pids()
        page.wait_for_timeout(50)
    choose(page, "40tps", "20tps")
    state(page, 1, "ready")


def test_a_worker_that_died_in_silence_is_not_called_ready_and_comes_back(
    visit: Callable[..., Page], served: Served
) -> None:
    page = visit()
    worker = served.arena.hosts[TWO[0]].worker
    psutil.Process(worker.pid).kill()
    state(page, 0, "idle")
    press_run(page, tokens=10)
    state(page, 0, "ok")
    state(page, 1, "ok")
    assert tokens_of(page, 0) == tokens_of(page, 1) == 10


def test_a_lane_being_made_does_not_hold_up_the_others(
    visit: Callable[..., Page], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit()
    served.arena.hosts[TWO[1]].worker.close()
    monkeypatch.setattr(lane_host, "status", lambda lane, model: LaneStatus("needs-model"))
    press_run(page, tokens=10)
    state(page, 0, "ok")
    expect(page.locator("#status")).to_contain_text("not ready yet, will join the next run: Fake")


def test_a_lane_being_prepared_shows_its_stage_and_a_progress_bar(
    visit: Callable[..., Page], served: Served
) -> None:
    host = served.arena.hosts[parse("fake:CPU:40tps")]
    page = visit()
    before, host.stage = host.stage, Stage("fetch", 0.4, "a model, 37 of 93 MB")
    try:
        state(page, 0, "fetch")
        expect(page.locator(".lane-0 [data-text=label]")).to_have_text("downloading 40 %")
        bar = page.locator(".lane-0 .progress")
        assert bar.get_attribute("aria-valuenow") == "40"
    finally:
        host.stage = before


def test_a_second_visitor_sees_that_the_engines_are_busy_and_waits(
    visit: Callable[..., Page],
) -> None:
    first, second = visit(), visit()
    press_run(first, tokens=200)
    state(first, 0, "running")
    expect(second.locator(".busy span")).to_have_text("engines busy")
    press_run(second, tokens=20)
    expect(second.locator("#status")).to_contain_text("queue: 1/1")
    first.locator("#stop").click()
    state(second, 0, "ok")
    assert tokens_of(second, 0) == 20
    assert tokens_of(first, 0) > 20


def test_a_visitor_who_stops_in_the_queue_never_begins(visit: Callable[..., Page]) -> None:
    first, second = visit(), visit()
    press_run(first, tokens=100)
    state(first, 0, "running")
    press_run(second, tokens=20)
    expect(second.locator("#status")).to_contain_text("queue")
    second.locator("#stop").click()
    state(first, 0, "ok")
    expect(second.locator("#status")).to_contain_text("Stopped before it began")
    assert tokens_of(second, 0) == 0


def test_pressing_run_again_while_it_runs_begins_no_second_run(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=60)
    state(page, 0, "running")
    page.locator("#run").click()
    state(page, 1, "ok")
    page.wait_for_timeout(500)  # time for what must not happen
    assert page.locator(".card[data-state=running]").count() == 0
    assert (tokens_of(page, 0), tokens_of(page, 1)) == (60, 60)


def test_the_last_word_of_a_run_whose_lanes_were_changed_empties_the_columns(
    served: Served,
) -> None:
    here = SimpleNamespace(host="127.0.0.1")
    visitor: Any = SimpleNamespace(
        session_hash="changes lanes", headers={"host": "localhost:7860"}, client=here
    )

    async def change_lanes_while_running() -> Updates:
        tab = served.compare.tab
        values: Updates = {
            tab.prompt: "Hello",
            tab.system: "",
            tab.names: [lane.name for lane in TWO],
            tab.model: DEFAULT_MODEL,
            tab.mode: "together",
            tab.max_new_tokens: 500,
            tab.temperature: 0.0,
        }
        async for last in served.compare.run(values, visitor):
            if last.get(tab.answers[0]):  # the first column has begun to answer
                served.compare.choose(["fake:CPU:20tps"], DEFAULT_MODEL, visitor)
        return last

    with ThreadPoolExecutor(1) as pool:  # the browser has an event loop in this thread
        last = pool.submit(asyncio.run, change_lanes_while_running()).result()
    assert [last[answer] for answer in served.compare.tab.answers] == [""] * MAX_COLUMNS


def test_choosing_other_lanes_ends_the_run_and_empties_the_columns(
    visit: Callable[..., Page], served: Served
) -> None:
    page = visit()
    press_run(page, tokens=2_000)
    page.wait_for_function("document.querySelector('.lane-1 [data-text=tokens]').innerText > 5")
    choose(page, "20tps")
    state(page, 0, "ready")
    expect(page.locator(".lane-0 [data-text=precision]")).to_have_text("20tps")
    expect(page.locator(".lane-0 .block.answer")).to_have_text("")
    assert not served.arena.busy


def test_closing_the_tab_stops_its_run(visit: Callable[..., Page], served: Served) -> None:
    page = visit()
    press_run(page, tokens=5_000)
    state(page, 0, "running")
    page.close()
    end = time.monotonic() + 10
    while served.arena.busy:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_empty_prompt_gets_a_sentence(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=20, prompt="   ")
    expect(page.locator("#status")).to_contain_text("The prompt is empty. Write")


def test_model_text_runs_no_script_and_loads_nothing(
    visit: Callable[..., Page], attacker: tuple[str, list[str]]
) -> None:
    address, hits = attacker
    page = visit()
    choose(page, "Payload")
    state(page, 0, "ready")
    press_run(page, tokens=2_000, prompt=address)
    state(page, 0, "ok")
    expect(page.locator(".lane-0 .block.answer")).to_contain_text("the end")
    page.locator(".block.answer").get_by_text("click").first.click()
    page.wait_for_timeout(500)  # time for what must not happen
    assert page.evaluate("window.hacked") is None
    for tempting in ("img", "button", "iframe"):
        assert page.locator(f".block.answer {tempting}:visible").count() == 0
    assert hits == []


def test_an_error_text_cannot_become_markup(visit: Callable[..., Page], served: Served) -> None:
    host = served.arena.hosts[parse("fake:CPU:40tps")]
    page = visit()
    host.error, before = WorkerError(HOSTILE, HOSTILE), host.stage
    host.stage = Stage("failed", None, HOSTILE)
    try:
        expect(page.locator(".lane-0 .error")).to_contain_text("${window.hacked")
        assert page.evaluate("window.hacked") is None
    finally:
        host.error, host.stage = None, before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(visit: Callable[..., Page], theme: str) -> None:
    page = visit(width=375, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.locator(".lane-0 .card").is_visible()


def test_a_prompt_is_not_written_to_the_browser_s_storage(visit: Callable[..., Page]) -> None:
    page = visit()
    press_run(page, tokens=5, prompt="a secret of mine")
    state(page, 0, "ok")
    stored = page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert "secret" not in stored


def test_a_column_tells_the_recipe_of_its_weights_and_its_capacity(served: Served) -> None:
    host = served.arena.hosts[parse("openvino-genai:NPU-on-CPU:int4")]
    recipe = "int4 sym, per channel, as published in makers/model"
    host.weights = {"recipe": recipe, "bytes": 1, "read_bytes": 1}
    host.loaded = {"capacity": 1024, "notes": ["Compiled in this load."]}
    value = card(host, None, Sample())
    assert value["weights"] == f"{recipe} · capacity: 1,024 tokens"
    assert value["notes"] == "Compiled in this load."


def test_a_lane_that_holds_another_model_is_not_called_ready(
    visit: Callable[..., Page], served: Served
) -> None:
    visit()
    states = [
        served.compare.card(Session(), TWO[0], model)["state"]
        for model in (DEFAULT_MODEL, "Phi-3-mini-4k-instruct")
    ]
    assert states == ["ready", "idle"]


def test_the_api_streams_states_and_ends_with_the_result(served: Served) -> None:
    client = Client(served.address, verbose=False)
    job = client.submit("Hello", ["fake:CPU:40tps"], "together", 60, 0, "", api_name="/compare")
    states = list(job)
    last = states[-1]["lanes"][0]
    assert len(states) > 5
    assert (last["status"], last["new_tokens"]) == ("ok", 60)
    lane = Lane("fake", "CPU", "40tps")
    run = served.arena.start(Request("Hello", (lane,), max_new_tokens=60))
    result = list(run.states())[-1].as_json()
    assert shape(states[-1]) == shape(json.loads(json.dumps(result)))
    assert last["text"] == result["lanes"][0]["text"] == TEXT.encode()[:60].decode()


def test_the_api_refuses_what_is_wrong_with_a_sentence(served: Served) -> None:
    client = Client(served.address, verbose=False)
    with pytest.raises(Exception, match="The prompt is empty. Write"):
        client.predict("", ["fake:CPU:40tps"], api_name="/compare")
    with pytest.raises(Exception, match="There is no lane “foke”"):
        client.predict("Hi", ["foke"], api_name="/compare")


def test_nothing_but_compare_is_exposed(served: Served) -> None:
    endpoints = Client(served.address, verbose=False).view_api(return_format="dict")
    assert list(endpoints["named_endpoints"]) == ["/compare"]
    assert not endpoints["unnamed_endpoints"]
    for path in ("docs", "redoc", "monitoring", "gradio_api/runs"):
        answer = httpx.get(f"{served.address}{path}", follow_redirects=True, timeout=60)
        assert answer.status_code >= 400 or is_empty_page(answer.text), path


def is_empty_page(html: str) -> bool:
    """Gradio answers some unknown paths with a page that has no component of its own."""
    return not any(word in html.lower() for word in ("swagger", "redoc.", "analytics", "prompt"))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example"])
def test_a_host_header_that_is_not_ours_gets_400(served: Served, host: str) -> None:
    assert httpx.get(served.address, headers={"Host": host}, timeout=60).status_code == 400


def test_every_answer_forbids_loading_from_outside(served: Served) -> None:
    policy = httpx.get(served.address, timeout=60).headers["content-security-policy"]
    assert "default-src 'self'" in policy and "form-action 'none'" in policy
