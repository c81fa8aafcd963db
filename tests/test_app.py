"""`app.py` as it is started: its address, its refusals, its silence towards others."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from gradio_client import Client

from playground.lanes.lane import default_lanes
from playground.paths import ROOT
from tests.support.command_line import interruptible

pytestmark = pytest.mark.browser

APP = ("app.py", "--no-browser")
DEVICES_UNKNOWN = """
import sys, time
from pathlib import Path
import app
from playground import devices
gate, discover = Path(sys.argv[1]), devices.discover
def wait_and_discover():
    while not gate.exists(): time.sleep(0.05)
    return discover()
devices.discover = wait_and_discover
sys.exit(app.main(["--no-browser", *sys.argv[2:]]))
"""
A_PROBE_HANGS = """
import sys, time
import app
from playground.devices import probing
def ask(probe):
    print("asked", flush=True)
    time.sleep(60)
probing.ask = ask
sys.exit(app.main(["--no-browser", *sys.argv[1:]]))
"""


@contextlib.contextmanager
def app(
    home: Path,
    *arguments: str,
    start: tuple[str, ...] = APP,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[subprocess.Popen[str]]:
    """The playground, started with that data folder and killed at the end."""
    child = subprocess.Popen(
        interruptible(*start, *arguments),
        cwd=ROOT,
        env={**environment, "AIPC_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def page_of(port: int) -> str:
    """The page's HTML, as soon as it is served."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text
        time.sleep(0.1)
    raise AssertionError("no page")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_it_serves_the_page_and_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    port = free_port()
    with app(tmp_path / "张三 Li", "--lanes", "fake", f"--port={port}") as child:
        assert "AI PC Playground" in page_of(port)
        assert child.stdout and f"http://127.0.0.1:{port}/" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=20)
    assert (child.returncode, stderr) == (0, "Stopped.\n")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_does_not_wait_for_a_driver_that_hangs(tmp_path: Path) -> None:
    start = ("-c", A_PROBE_HANGS)
    with app(tmp_path, "--lanes=fake", f"--port={free_port()}", start=start) as child:
        assert child.stdout and "AI PC Playground" in child.stdout.readline()
        assert "asked" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
    assert child.returncode == 0


def test_the_page_is_up_before_any_device_is_known(tmp_path: Path) -> None:
    port, gate = free_port(), tmp_path / "known"
    start = ("-c", DEVICES_UNKNOWN, str(gate))
    with app(tmp_path, f"--port={port}", start=start):
        assert "AI PC Playground" in page_of(port)
        gate.touch()
        end = time.monotonic() + 60
        while not (tmp_path / "models").exists():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize(("option", "value"), [("", "None"), ("--trust-remote-code", "1")])
def test_only_who_starts_the_program_can_let_models_run_code(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, empty_home: Path
) -> None:
    monkeypatch.delenv("AIPC_TRUST_REMOTE_CODE", raising=False)
    arguments = ["--port=99999", *option.split()]
    seen = f"import app, os; app.main({arguments}); print(os.environ.get('AIPC_TRUST_REMOTE_CODE'))"
    command = [sys.executable, "-c", seen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)
    assert done.stdout.strip() == value, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port=99999"], "There is no port 99999."),
        (["--host=203.0.113.7"], "“203.0.113.7” is not an address of this machine."),
        (["--lanes=foke"], "There is no lane “foke”."),
        (["--model=no-such-model"], "no-such-model"),
        (["--colour=blue"], "No such option '--colour'."),
        (["--port=x"], "See `python run.py --help`."),
    ],
)
def test_a_wrong_start_gets_a_sentence_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    with app(tmp_path, *arguments) as child:
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 2
    assert words in stderr
    assert len(stderr.splitlines()) == 2


def test_a_taken_port_gets_a_sentence_with_another_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with app(tmp_path, "--lanes=fake", f"--port={port}") as child:
            _, stderr = child.communicate(timeout=60)
    assert child.returncode == 2
    assert f"Port {port}" in stderr and f"--port {port + 1}" in stderr


@pytest.fixture
def proxy() -> Iterator[tuple[dict[str, str], list[str]]]:
    """An environment with a proxy for all HTTP requests, and the first lines of those it gets."""
    requests: list[str] = []

    class Proxy(ThreadingHTTPServer):
        daemon_threads = True

        def verify_request(self, request: Any, address: Any) -> bool:
            requests.append(request.recv(200).decode(errors="replace").splitlines()[0])
            return False

    with Proxy(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy")
        yield {name: address for name in names} | {"NO_PROXY": "127.0.0.1"}, requests
        server.shutdown()


def test_neither_a_start_nor_the_engines_speak_to_anybody_outside(
    proxy: tuple[dict[str, str], list[str]], default_models: Path
) -> None:
    proxies, requests = proxy
    port = free_port()
    with app(default_models, f"--port={port}", environment={**os.environ, **proxies}):
        page_of(port)
        client = Client(f"http://127.0.0.1:{port}/", verbose=False)
        names = [lane.name for lane in default_lanes()]
        result = client.predict("Hello", names, "together", 8, api_name="/compare")
    assert [lane["status"] for lane in result["lanes"]] == ["ok"] * 4
    assert requests == []
