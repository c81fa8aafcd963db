"""Processes that keep the machine busy by a known amount."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

BUSY_CHILD = """
import subprocess, sys, time
if len(sys.argv) > 1:
    held = bytearray(b"x" * 60_000_000)
    print("ready", flush=True)
    while True: pass
child = subprocess.Popen([sys.executable, "-c", sys.stdin.read(), "busy"])
child.wait()
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    """A process whose child keeps one core and 60 MB busy."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY_CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdin and process.stdout
    process.stdin.write(BUSY_CHILD)
    process.stdin.close()
    assert process.stdout.readline() == "ready\n"
    yield process
    for child in psutil.Process(process.pid).children():
        child.kill()
    process.kill()
    process.wait()
    process.stdout.close()
