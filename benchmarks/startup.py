"""How soon the page is up, over a Gradio app of three lines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.pairs import Row, ratio
from benchmarks.watched import wait_for
from playground.paths import ROOT
from playground.workers.subprocesses import environment

THREE_LINES = """import gradio as gr
with gr.Blocks() as demo: gr.Textbox()
demo.launch(server_port={port}, quiet=True)
"""


def first_page(command: list[str], port: int, home: Path) -> float:
    """Seconds from starting the command to its first page."""
    environ = environment() | {"AIPC_HOME": str(home), "GRADIO_ANALYTICS_ENABLED": "0"}
    began = time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/")
        return time.perf_counter() - began
    finally:
        child.terminate()
        child.wait()


def start(pairs: int) -> Row:
    """An empty data folder each time: no model is ready, and fetching begins behind the page."""
    seconds = []
    with TemporaryDirectory() as folder:
        for n in range(pairs):
            port = 7900 + 2 * n
            plain = [sys.executable, "-c", THREE_LINES.format(port=port)]
            ours = [sys.executable, "app.py", "--no-browser", f"--port={port + 1}"]
            home = Path(folder) / str(n)
            os.mkdir(home)
            three_lines = first_page(plain, port, home)
            seconds.append((first_page(ours, port + 1, home), three_lines))
    middle, note = ratio(seconds)
    note += f", {seconds[-1][0]:.1f} s over {seconds[-1][1]:.1f} s in the last"
    return Row("first page / three-line Gradio app", f"{middle:.2f}", "< 1.5", note)
