"""The page for tests: served from this process, and opened in a real browser."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Request as BrowserRequest

from backends import ENGINES, Engine, Reads
from playground import devices
from playground.arena import Arena
from playground.gauges.sampler import Sampler
from playground.lanes import Lane, parse
from playground.models import DEFAULT_MODEL
from playground.page import layout, serve

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
TWO = [parse("fake:CPU:40tps"), parse("fake:CPU:20tps")]
ELSEWHERE = "visitor.gradio.live"  # a host name by which others open a shared page


class Served:
    """A page on a free port, its arena, and what browsers asked of other hosts."""

    def __init__(self, chosen: list[Lane] | None = None) -> None:
        self.arena = Arena()
        self.sampler = Sampler(self.arena.hosts.pids)
        self.tabs = layout.Tabs(self.arena, self.sampler, chosen, DEFAULT_MODEL)
        self.choices, self.compare = self.tabs.choices, self.tabs.compare
        self.page = layout.build(self.tabs)
        self.port = free_port()
        self.address = serve.launch(self.page, "127.0.0.1", self.port, share=False, browser=False)
        self.outside: list[str] = []

    def as_started(self) -> None:
        """The lanes and the model of a new program, whatever the visitors before have chosen."""
        self.choices.choose(TWO, DEFAULT_MODEL)

    def close(self) -> None:
        self.page.close()
        self.tabs.close()
        self.sampler.close()
        self.arena.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(tmp_path_factory.mktemp("page home")))
        hosts = serve.allowed_hosts("127.0.0.1", share=True)
        patch.setattr(serve, "allowed_hosts", lambda host, share: hosts)
        for name in ("Payload", "RaisesForAPerson"):
            engine = Engine(
                name, f"tests.misbehaving:{name}", "", "", {"CPU": Reads("none", ("none",))}
            )
            patch.setitem(ENGINES, name.lower(), engine)
        devices.found()
        found = Served(TWO)
        found.choices.begin()
        yield found
        found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "No browser is installed: python run.py test installs Debian's Chromium."
    rules = f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", rules])
        yield found
        found.close()


@pytest.fixture
def visit(served: Served, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the page as a new visitor; whatever it asks of other hosts is noted."""
    contexts = []
    served.as_started()

    def open_page(
        width: int = 1280, theme: str = "light", tab: str = "", host: str = "127.0.0.1"
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("requestfinished", lambda request: note(served, request))
        page.on("requestfailed", lambda request: note(served, request))
        page.goto(f"http://{host}:{served.port}/?__theme={theme}")
        page.wait_for_selector(".lane-0 .card[data-state=ready]", timeout=60_000)
        if tab:
            page.get_by_role("tab", name=tab).click()
        return page

    yield open_page
    for context in contexts:
        context.close()
    end = time.monotonic() + 10
    while served.arena.busy and time.monotonic() < end:
        time.sleep(0.05)
    assert not served.arena.busy, "a run goes on though its visitor has left"
    assert served.outside == []


def note(served: Served, request: BrowserRequest) -> None:
    """Remember a request to another host, unless the content policy stopped it."""
    ours = (f"http://127.0.0.1:{served.port}/", f"http://{ELSEWHERE}:{served.port}/")
    at_home = request.url.startswith((*ours, "data:", "blob:"))
    if not at_home and "csp" not in (request.failure or ""):
        served.outside.append(request.url)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def press_run(page: Page, tokens: int, prompt: str = "Hello", mode: str = "Together") -> None:
    length = page.locator("#max-new-tokens input")
    length.fill(str(tokens))
    length.press("Tab")
    page.get_by_label(mode).first.check()
    page.locator("#prompt textarea").fill(prompt)
    page.locator("#run").click()


def choose(page: Page, *names: str, box: str = "#lanes") -> None:
    """Choose exactly these lanes in the list."""
    found = page.locator(box)
    found.get_by_role("button", name="Clear").or_(found.locator(".token-remove.remove-all")).click()
    for name in names:
        found.locator("input").click()
        page.get_by_role("option", name=name, exact=False).click()
    page.keyboard.press("Escape")


def tokens_of(page: Page, column: int) -> int:
    text = page.locator(f".lane-{column} [data-text=tokens]").inner_text()
    return int(text) if text.isdigit() else 0


def state(page: Page, column: int, *states: str) -> None:
    """Wait until the column is in one of these states."""
    selector = ", ".join(f".lane-{column} .card[data-state={name}]" for name in states)
    page.wait_for_selector(selector, timeout=60_000)


def workers(served: Served) -> list[psutil.Process]:
    """The processes of the lanes that are loaded."""
    return [psutil.Process(pid) for pid in served.arena.hosts.pids().values()]


def shape(value: Any) -> Any:
    """The keys and types of a JSON value, without its figures."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else type(value)
