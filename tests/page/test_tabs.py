"""The page's tabs in a real browser: what is there of models, making and removing it, the machine.

A small model is fetched from a hub on loopback, a tiny one converted from its folder.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from playground import devices, doctor, models
from playground.devices import Device, Discovery, Hardware
from playground.lanes.lane import parse
from playground.models import DEFAULT_MODEL
from playground.page import choices, jobs
from playground.page.access import OWNER_ONLY, is_owner
from playground.page.jobs import SetupJob
from playground.page.machine import view as machine_view
from playground.workers import npu_environment
from tests.models.test_hub import model_files
from tests.support.fake_hub import FakeHub, Repository, serve
from tests.support.parrot import parrot
from tests.support.served_page import (
    ELSEWHERE,
    Served,
    choose,
    press_run,
    state,
    tokens_of,
    workers,
)

pytest_plugins = ["tests.support.page_fixtures"]

ON_HUB = "makers/small-model"
HOSTILE = "${window.hacked='template'}<img src=x onerror=window.hacked='img'>**bold**"
ANSWER = ["Polly", " has", " a", " cracker", "."]
MINUTE = 60_000


@pytest.fixture(scope="module")
def parrot_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that answers everything with `ANSWER`."""
    return parrot(tmp_path_factory.mktemp("models") / "parrot", ANSWER)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that has a small model, and a cache of the user's own."""
    with serve() as server:
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.repositories[ON_HUB] = Repository(model_files())
        yield server


def name_model(page: Page, name: str, box: str = "#prepare-model") -> None:
    """Type a model's name into the list."""
    field = page.locator(f"{box} input")
    field.fill(name)
    field.press("Enter")


def prepare(page: Page, model: str, lane: str) -> None:
    name_model(page, model)
    expect(page.locator("#size")).to_contain_text("Check size shows", timeout=MINUTE)
    choose(page, lane, box="#prepare-lanes")
    page.locator("#prepare-now").click()


def ended(page: Page, word: str) -> None:
    """Wait until the job has ended so."""
    expect(page.locator("#preparing .state span")).to_have_text(word, timeout=3 * MINUTE)


# Models


def test_a_model_of_a_hub_is_sized_fetched_cancelled_fetched_and_removed(
    visit: Callable[..., Page], hub: FakeHub
) -> None:
    page, other = visit(tab="Models"), visit(tab="Models")
    hub.stop_after = 2_500_000
    prepare(page, ON_HUB, "PyTorch · CPU · fp32")
    job = page.locator("#preparing")
    expect(job.locator(".state span")).to_contain_text("downloading", timeout=MINUTE)
    expect(job.locator(".detail")).to_contain_text("2 of 3 MB", timeout=MINUTE)
    expect(job.locator(".progress")).to_have_attribute("aria-valuenow", re.compile(r"[67]\d"))
    expect(other.locator("#preparing h3")).to_have_text("Preparing small-model")
    page.close()  # does not cancel it
    expect(other.locator("#preparing .state span")).to_contain_text("downloading")
    other.locator("#preparing .cancel").click()
    ended(other, "cancelled")

    hub.stop_after = None
    name_model(other, ON_HUB)
    choose(other, "PyTorch · CPU · fp32", box="#prepare-lanes")
    other.locator("#check-size").click()
    expect(other.locator("#size")).to_contain_text(" of disk, ", timeout=MINUTE)
    expect(other.locator("#size li")).to_contain_text(["makers/small-model"])
    other.locator("#prepare-now").click()
    ended(other, "done")
    article = other.locator(".model", has_text="from makers/small-model on Hugging Face")
    expect(article.locator("tr")).to_contain_text(["3 MB in the Hugging Face cache"])
    assert models.is_ready(ON_HUB, "hf", "fp32")

    article.locator(".remove").click()
    article.locator(".no").click()
    expect(article.locator(".confirm")).to_have_count(0)
    article.locator(".remove").click()
    article.locator("input").check()
    article.locator(".yes").click()
    expect(other.locator("#removed")).to_contain_text("Removed makers/small-model: 3 MB freed.")
    expect(article).to_have_count(0)
    assert not models.is_ready(ON_HUB, "hf", "fp32")


def test_a_typed_folder_is_converted_chosen_and_answers(
    visit: Callable[..., Page], served: Served, parrot_folder: Path
) -> None:
    folder = str(parrot_folder)
    page = visit(tab="Models")
    prepare(page, f"  {folder} ", "ONNX Runtime GenAI · CPU · int4")
    expect(page.locator("#preparing .state span")).to_have_text("converting", timeout=MINUTE)
    ended(page, "done")

    page.get_by_role("tab", name="Compare").click()
    choose(page, "ONNX Runtime GenAI · CPU · int4")
    name_model(page, folder, "#model")
    state(page, 0, "ready")
    expect(page.locator(".lane-0 [data-text=weights]")).to_contain_text("int4 sym, group 32")
    press_run(page, tokens=40, prompt="What do you say?")
    state(page, 0, "ok")
    expect(page.locator(".lane-0 .block.answer")).to_have_text("".join(ANSWER))

    visitor = visit()
    label = f"{Path(folder).name} · {Path(folder).parent}"
    expect(visitor.locator("#model input")).to_have_value(label)

    page.get_by_role("tab", name="Models").click()
    article = page.locator(".model", has_text=folder)
    article.locator(".remove").click()
    article.locator(".yes").click()
    expect(page.locator("#removed")).to_contain_text("It is loaded in ONNX Runtime GenAI")
    assert models.is_ready(folder, "onnx", "int4")


@pytest.mark.parametrize("name", ["no such model", HOSTILE, "/no/such/folder"])
def test_a_wrong_name_gets_a_sentence_and_nothing_is_lost(
    visit: Callable[..., Page], served: Served, name: str
) -> None:
    page = visit()
    press_run(page, tokens=20)
    state(page, 1, "ok")
    answer = page.locator(".lane-0 .block.answer").inner_text()
    name_model(page, name, "#model")
    expect(page.locator("#status")).to_contain_text(f"There is no model “{name}”. Choose")
    assert page.locator(".lane-0 .block.answer").inner_text() == answer
    assert page.locator("#prompt textarea").input_value() == "Hello"
    assert served.choices.model == DEFAULT_MODEL
    page.get_by_role("tab", name="Models").click()
    name_model(page, name)
    expect(page.locator("#size")).to_contain_text(f"There is no model “{name}”")
    assert page.evaluate("window.hacked") is None


def test_a_model_that_cannot_be_had_gets_a_sentence(
    visit: Callable[..., Page], hub: FakeHub
) -> None:
    page = visit(tab="Models")
    prepare(page, "makers/nothing", "PyTorch · CPU · fp32")
    ended(page, "failed")
    expect(page.locator("#preparing li p")).to_contain_text("makers/nothing")


# Tabs and runs


def test_switching_tabs_loses_neither_a_run_nor_what_was_typed(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    press_run(page, tokens=120)
    page.locator("#system textarea").fill("for the next run")
    state(page, 0, "running")
    page.get_by_role("tab", name="Machine").click()
    page.get_by_role("tab", name="Models").click()
    page.locator("#prepare-model input").fill("half a na")
    page.get_by_role("tab", name="Compare").click()
    state(page, 1, "ok")
    assert (tokens_of(page, 0), tokens_of(page, 1)) == (120, 120)
    assert "This answer" in page.locator(".lane-1 .block.answer").inner_text()
    assert page.locator("#system textarea").input_value() == "for the next run"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["Models", "Machine"])
def test_no_tab_needs_sideways_scrolling_on_a_phone(
    visit: Callable[..., Page], tab: str, theme: str
) -> None:
    page = visit(width=375, theme=theme, tab=tab)
    expect(page.locator("h2").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.locator(".strip").is_visible()


# The machine


def test_the_machine_tab_tells_devices_lanes_and_why_not(
    visit: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"lane": "onnx-genai:CPU:int4", "backend": "onnx-genai", "device": "CPU"}
    hostile = {"status": "unavailable", "reason": HOSTILE, "fix": "See https://example.org/x."}
    monkeypatch.setattr(machine_view, "table", lambda model: [{**row, **hostile}])
    page = visit(tab="Machine")
    device = page.locator(".devices .item", has_text="OpenVINO").first
    expect(device).to_contain_text(devices.discover().openvino[0].full_name)
    lane = page.locator(".engine", has_text="ONNX Runtime GenAI").locator(".lane-row")
    expect(lane.locator(".state")).to_have_text("unavailable")
    expect(lane.locator(".why")).to_have_text(f"{HOSTILE} See https://example.org/x.")
    link = lane.locator("a")
    assert link.get_attribute("href") == "https://example.org/x"
    assert "noopener" in (link.get_attribute("rel") or "")
    assert page.evaluate("window.hacked") is None


def test_precisions_that_share_a_reason_share_a_line() -> None:
    shared = {"backend": "onnx-genai", "device": "CPU", "reason": "", "fix": ""}
    rows = [
        {**shared, "lane": f"onnx-genai:CPU:{precision}", "status": "ready"}
        for precision in ("int4", "int8")
    ]
    [engine] = machine_view.engines(rows)
    assert [lane["precisions"] for lane in engine["lanes"]] == [["int4", "int8"]]


@pytest.mark.parametrize(
    ("kind", "vendor", "discovery", "why"),
    [
        ("NPU", "Intel", Discovery(), "OpenVINO does not find it"),
        ("NPU", "Intel", Discovery(openvino=(Device("NPU", "Intel AI Boost"),)), ""),
        ("NPU", "AMD", Discovery(), "supports only Intel NPUs"),
        ("GPU", "NVIDIA", Discovery(), "PyTorch"),
        ("GPU", "NVIDIA", Discovery(torch=(Device("CUDA.0", "RTX"),)), ""),
        ("GPU", "Intel", Discovery(openvino=(Device("GPU.0", "Arc"),)), ""),
    ],
)
def test_hardware_that_no_engine_uses_is_shown_with_the_reason_on_a_stub_of_a_machine(
    kind: str, vendor: str, discovery: Discovery, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Hardware(kind, vendor, f"{vendor} {kind}", "1234:5678", "1.0")
    reasons = sys.modules["playground.devices.reasons"]
    monkeypatch.setattr(reasons, "hardware", lambda: (one,))
    monkeypatch.setattr(reasons.probing, "discover", lambda: discovery)
    reason = machine_view.hardware(one, discovery)["why"]
    assert (why in reason) if why else reason == ""


def test_idle_workers_are_unloaded_and_the_next_run_loads_them_again(
    visit: Callable[..., Page], served: Served
) -> None:
    page = visit(tab="Machine")
    before = workers(served)
    page.get_by_role("button", name="Unload idle workers").click()
    expect(page.locator("#machine-note")).to_contain_text("freed", timeout=MINUTE)
    assert not any(worker.is_running() for worker in before)
    page.get_by_role("tab", name="Compare").click()
    press_run(page, tokens=10)
    state(page, 1, "ok")


def test_closing_a_page_unloads_nothing(visit: Callable[..., Page], served: Served) -> None:
    page, other = visit(tab="Machine"), visit()
    before = workers(served)
    page.close()
    press_run(other, tokens=5)
    state(other, 1, "ok")
    assert all(worker.is_running() for worker in before)


def test_the_report_can_be_copied_and_downloaded(visit: Callable[..., Page]) -> None:
    page = visit(tab="Machine")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Create a report").click()
    report = page.locator("#report textarea")
    expect(report).to_have_value(re.compile("# Playground report"), timeout=MINUTE)
    page.locator("#report").get_by_role("button", name="Copy").click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.includes('## '))")
    copied = page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "playground-report.md"
    assert Path(download.value.path()).read_text(encoding="utf-8") == copied
    assert "## Packages" in copied and str(Path.home()) not in copied


def test_setting_up_shows_the_last_line_and_how_it_ended(
    visit: Callable[..., Page], served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, script = tmp_path / "go", tmp_path / "setup.py"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\nprint('fetching a <b>wheel</b>')\n"
        "while not Path(sys.argv[1]).exists(): time.sleep(0.05)\n"
        "sys.exit('No wheel for this one.')",
        encoding="utf-8",
    )
    monkeypatch.setattr(npu_environment, "ready", lambda: False)
    monkeypatch.setattr(served.page.machine, "job", SetupJob((str(script), str(gate))))
    page, other = visit(tab="Machine"), visit(tab="Machine")
    page.get_by_role("button", name="Set up the Intel NPU Library").click()
    for visitor in (page, other):
        job = visitor.locator("#setting-up")
        expect(job.locator(".detail")).to_have_text("fetching a <b>wheel</b>", timeout=MINUTE)
        expect(visitor.get_by_role("button", name="Set up the Intel NPU Library")).to_be_hidden()
    gate.touch()
    expect(other.locator("#setting-up .state span")).to_have_text("failed", timeout=MINUTE)
    expect(other.locator("#setting-up .detail")).to_contain_text("No wheel for this one. The full")


def test_a_set_up_that_is_cancelled_ends_its_process(empty_home: Path) -> None:
    job = SetupJob(("-c", "import time; print('here', flush=True); time.sleep(600)"))
    job.start()
    wait_until(lambda: job.detail == "here")
    child = job._child
    assert child is not None
    job.cancel()
    wait_until(lambda: job.state == jobs.CANCELLED)
    assert child.poll() is not None


def test_a_set_up_that_succeeds_lets_the_devices_be_found_anew(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(devices, "forget", lambda: calls.append("forget"))
    monkeypatch.setattr(devices, "discover", lambda: calls.append("found"))
    job = SetupJob(("-c", "print('Set up.')"))
    job.start()
    wait_until(lambda: job.ends == 1)
    assert (job.state, job.detail, calls) == (jobs.DONE, "Set up.", ["forget", "found"])


# Start


@pytest.fixture
def gated(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The devices are not discovered before this is set."""
    gate = threading.Event()
    discovery = devices.discover()

    def wait() -> Discovery:
        assert gate.wait(60)
        return discovery

    monkeypatch.setattr(devices, "discover", wait)
    monkeypatch.setattr(devices, "discovered", lambda: discovery if gate.is_set() else None)
    monkeypatch.setattr(choices, "default_lanes", lambda: [parse("fake:CPU:33tps")])
    monkeypatch.setattr(choices, "cpu_lanes", lambda: [parse("fake:CPU:44tps")])
    yield gate
    gate.set()


def test_a_page_that_opens_before_the_devices_are_known_waits_for_its_lanes(
    gated: threading.Event, browser: Any
) -> None:
    started = Served(None)
    page = browser.new_page()
    try:
        started.choices.begin()
        page.goto(started.address)
        expect(page.locator("#status")).to_contain_text("Looking for this machine's devices")
        assert page.locator(".card").count() == 0
        gated.set()
        state(page, 0, "ready")
        expect(page.locator(".lane-0 [data-text=precision]")).to_have_text("33tps")
        expect(page.locator("#status")).to_contain_text("Press Run")
    finally:
        page.close()
        started.close()


def test_devices_that_take_long_to_find_cost_no_more_than_the_patience(
    gated: threading.Event, browser: Any
) -> None:
    started = Served(None)
    started.choices._patience_s = 0.01
    page = browser.new_page()
    try:
        started.choices.begin()
        page.goto(started.address)
        state(page, 0, "ready")
        expect(page.locator(".lane-0 [data-text=precision]")).to_have_text("44tps")
    finally:
        page.close()
        started.close()


# Who may


def request(host: str, sender: str = "127.0.0.1", **headers: str) -> Any:
    return SimpleNamespace(headers={"host": host, **headers}, client=SimpleNamespace(host=sender))


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "LOCALHOST:1", "[::1]:7860"])
@pytest.mark.parametrize("sender", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_browser_on_this_machine_is_its_owner_s(host: str, sender: str) -> None:
    assert is_owner(request(host, sender))


@pytest.mark.parametrize(
    "forged",
    [
        request("192.168.1.5:7860", "192.168.1.5"),
        request("localhost:7860", "192.168.1.9"),  # a Host header that anyone could write
        request("abc.gradio.live"),
        request("127.0.0.1", **{"x-forwarded-for": "127.0.0.1"}),
        request("localhost", **{"forwarded": "for=127.0.0.1"}),
        request("localhost.evil.example"),
        request("localhost:7860@evil.example"),
        request("127.0.0.1:7860, evil.example"),
        request(""),
        request("localhost", "testclient"),
        SimpleNamespace(headers={"host": "localhost"}, client=None),
    ],
)
def test_nobody_else_is(forged: Any) -> None:
    assert not is_owner(forged)


def test_a_visitor_from_elsewhere_sees_the_tabs_read_only_and_no_paths(
    visit: Callable[..., Page], parrot_folder: Path
) -> None:
    folder = parrot_folder
    models.prepare(str(folder), "onnx", "int4")
    page = visit(host=ELSEWHERE, tab="Models")
    expect(page.locator(".model h3", has_text=folder.name)).to_be_visible(timeout=MINUTE)
    assert str(folder.parent) not in page.content()
    expect(page.locator("#models .only-here")).to_be_visible(timeout=MINUTE)
    expect(page.locator("#models h2")).to_be_visible()
    assert page.locator("#prepare:visible, .remove:visible").count() == 0
    page.get_by_role("tab", name="Machine").click()
    expect(page.locator("#machine .only-here")).to_be_visible()
    expect(page.locator("#machine .engine").first).to_be_visible()
    assert page.locator("#actions button:visible").count() == 0
    page.get_by_role("tab", name="Compare").click()
    press_run(page, tokens=10)
    state(page, 1, "ok")


@pytest.mark.parametrize(
    "headers", [{"host": ELSEWHERE}, {"host": "localhost", "x-forwarded-for": "127.0.0.1"}]
)
def test_requests_of_others_are_refused_whatever_they_ask(
    served: Served, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    for place, name in (
        (models, "prepare"),
        (models, "remove"),
        (models, "needs"),
        (served.arena.hosts, "unload_idle"),
        (served.page.machine.job, "start"),
        (doctor, "report"),
        (served.page.models.job, "cancel"),
        (served.page.machine.job, "cancel"),
    ):
        monkeypatch.setattr(place, name, lambda *_, name=name, **__: done.append(name))
    lane = "pytorch:CPU:fp32"
    forged = {
        "choose_model": ["/etc", []],
        "size": [DEFAULT_MODEL, [lane]],
        "prepare": [DEFAULT_MODEL, [lane]],
        "remove": [],
        "unload_if_idle": [],
        "start_setup": [],
    }
    post(served, "arrive", [], {"host": "localhost"})  # the session is the owner's
    for name, data in forged.items():
        assert OWNER_ONLY in post(served, name, data, headers), name
    for name in ("report", "cancel_preparation", "cancel_setup"):
        post(served, name, [], headers)
    assert done == []
    answer = post(served, "choose", [["fake:CPU:40tps"], "/etc"], headers)
    assert "Only the person at this machine may name a model" in answer
    assert served.choices.model == DEFAULT_MODEL


def test_an_api_call_from_elsewhere_makes_no_model(served: Served) -> None:
    there = Client(served.address, verbose=False, headers={"host": ELSEWHERE})
    with pytest.raises(Exception, match="PyTorch · CPU · fp32 is not ready for SmolLM2"):
        there.predict("Hi", ["pytorch"], api_name="/compare")
    answered = there.predict("Hi", ["fake:CPU:40tps"], "together", 5, api_name="/compare")
    assert answered["lanes"][0]["status"] == "ok"


def post(served: Served, name: str, data: list[Any], headers: dict[str, str]) -> str:
    """A request as the page sends it, to the handler of that name; what it is answered."""
    [number, *_] = [n for n, fn in served.page.blocks.fns.items() if fn.name == name]
    body = {
        "data": data,
        "fn_index": number,
        "session_hash": "forged",
        "event_data": {"model": DEFAULT_MODEL, "cache": True},
    }
    address = f"{served.address}gradio_api/run/predict"
    return json.dumps(
        httpx.post(address, json=body, headers=headers, timeout=60).json(), ensure_ascii=False
    )


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
