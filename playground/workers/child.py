"""Child process: runs a module as `python -m` would, and ends when its parent does.

Usage: python -m playground.workers.child MODULE [ARGUMENT ...]
"""

from __future__ import annotations

import os
import runpy
import sys
import threading

from playground.workers.worker import block_packages, take_stdin


def end_with_parent() -> None:
    """End this process at the end of stdin: the parent, which holds the other end, is gone.

    On Windows the parent's job object ends this process: a thread that reads stdin can hang a
    native import there.
    """
    if sys.platform == "win32":
        return
    pipe = take_stdin()

    def watch() -> None:
        os.read(pipe, 1)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def main() -> None:
    end_with_parent()
    block_packages()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
