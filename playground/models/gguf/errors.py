"""Why a GGUF file cannot be converted, as the converter reports it to its parent process."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "not-gguf",
    "damaged",
    "split-file",
    "unknown-architecture",
    "unknown-tokenizer",
    "unsupported",  # something that the Hugging Face folder would lose
]


class GgufError(Exception):
    """A file that cannot be converted faithfully; `failures.py` has the sentences.

    detail: the file's name, or what in the file is not supported.
    """

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail
