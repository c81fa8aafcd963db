"""The page for tests, served from this process, and what is pressed in it."""

from __future__ import annotations

import socket
from typing import Any

import psutil
from playwright.sync_api import Page
from playwright.sync_api import Request as BrowserRequest

from playground.arena import Arena
from playground.gauges.probes import Probes
from playground.lanes.lane import Lane, parse
from playground.models import DEFAULT_MODEL
from playground.page import layout, serve

TWO = [parse("fake:CPU:40tps"), parse("fake:CPU:20tps")]
ELSEWHERE = "visitor.gradio.live"  # a host name by which others open a shared page


class Served:
    """A page on a free port, its arena, and the requests of browsers to other hosts."""

    def __init__(self, chosen: list[Lane] | None = None, probes: Probes | None = None) -> None:
        self.arena = Arena(probes=probes)
        self.page = layout.Page(self.arena, chosen, DEFAULT_MODEL)
        self.choices, self.compare = self.page.choices, self.page.compare
        self.port = free_port()
        self.address = serve.launch(
            self.page.blocks, "127.0.0.1", self.port, share=False, browser=False
        )
        self.outside: list[str] = []

    def as_started(self) -> None:
        """The lanes and the model of a new program, whatever the visitors before have chosen."""
        self.choices.choose(TWO, DEFAULT_MODEL)

    def close(self) -> None:
        self.page.blocks.close()
        self.page.close()
        self.arena.close()


def note_request(served: Served, request: BrowserRequest) -> None:
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
    dropdown = page.locator(box)
    clear = dropdown.get_by_role("button", name="Clear").or_(
        dropdown.locator(".token-remove.remove-all")
    )
    if clear.count():
        clear.click()
    for name in names:
        dropdown.locator("input").click()
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
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value)
