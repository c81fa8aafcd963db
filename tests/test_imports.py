"""Which part of the program may import which: the contracts in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from playground.paths import ROOT

CHECK = "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True, no_logo=True))"


def test_imports_run_in_one_direction() -> None:
    command = [sys.executable, "-c", CHECK]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert ended.returncode == 0, ended.stdout + ended.stderr
