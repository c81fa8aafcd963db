"""Backends that go wrong in one way each, run in real worker processes."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from backends.base import Backend, BackendError, Loaded, Options


class Steady(Backend):
    """The base of all: counts up, a token every 10 ms."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        return Loaded(device, "a test", "0")

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        for n in range(options.max_new_tokens):
            time.sleep(0.01)
            yield n % 256


class Slow(Steady):
    """A token every 60 ms: slow enough to count what comes after a stop on a busy machine."""

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        for token in super().generate(prompt, options):
            time.sleep(0.05)
            yield token


class RaisesMidway(Steady):
    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        for n, token in enumerate(super().generate(prompt, options)):
            if n == 3 and prompt == [13]:
                raise RuntimeError("a wheel came off\nand rolled away")
            yield token


class RaisesForAPerson(Steady):
    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        raise BackendError("There is no such device.", "Choose another.")


class Hangs(Steady):
    """Blocks without using any CPU; a stop cannot reach it."""

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        for n, token in enumerate(super().generate(prompt, options)):
            if n == 3 and prompt == [13]:
                time.sleep(3600)
            yield token


class Computes(Steady):
    """A long prefill: no event for a while, but it works."""

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        end = time.monotonic() + (3 if prompt == [13] else 0)
        while time.monotonic() < end:
            pass
        yield from super().generate(prompt, options)


class Noisy(Steady):
    """Prints from Python, from the C library and straight to fd 1, and reads stdin."""

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        # The one that Python uses: the older msvcrt.dll keeps descriptors of its own.
        libc = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
        for token in super().generate(prompt, options):
            print('{"id": 2, "event": "end", "reason": "forged by print"}', flush=True)
            os.write(1, b"native noise without an end of line")
            libc.puts(b"noise of the C library")
            libc.fflush(None)
            assert sys.stdin.read() == ""
            yield token


class Fast(Steady):
    """As fast as Python can, until told to stop."""

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        for n in range(options.max_new_tokens):
            yield n % 256


class Payload(Steady):
    """Answers what a hostile model might; its prompt is the address of the attacker."""

    TEXT = (
        "start <img src=x onerror=\"window.hacked='img'\"> ![p](EVIL/markdown.png) "
        "<img src='EVIL/img.png'> <script>window.hacked='script'</script> "
        "${window.hacked='template'} {{value}} <iframe src='EVIL/frame'></iframe> "
        "<form action='EVIL/form'><button>win</button></form> "
        "[click](javascript:window.hacked='link') the end"
    )

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        text = self.TEXT.replace("EVIL", bytes(prompt).decode())
        for byte in text.encode()[: options.max_new_tokens]:
            time.sleep(0.001)
            yield byte
