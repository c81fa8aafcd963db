"""A served page, a real browser, and visits of the one to the other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from backends import ENGINES, DeviceSupport, Engine
from playground import devices
from playground.page import serve
from tests.support.served_page import ELSEWHERE, TWO, Served, note_request

expect.set_options(timeout=30_000)  # on a busy machine too
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(tmp_path_factory.mktemp("page home")))
        hosts = serve.allowed_hosts("127.0.0.1", share=True)
        patch.setattr(serve, "allowed_hosts", lambda host, share: hosts)
        for name in ("Payload", "RaisesForAPerson"):
            engine = Engine(
                name,
                f"tests.support.misbehaving:{name}",
                "",
                "",
                {"CPU": DeviceSupport("none", ("none",))},
            )
            patch.setitem(ENGINES, name.lower(), engine)
        devices.discover()
        served = Served(TWO)
        served.choices.begin()
        yield served
        served.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "No browser is installed: python run.py test installs Debian's Chromium."
    rules = f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", rules])
        yield browser
        browser.close()


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
        page.on("requestfinished", lambda request: note_request(served, request))
        page.on("requestfailed", lambda request: note_request(served, request))
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
