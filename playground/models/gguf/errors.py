"""Why a GGUF file cannot be converted, as the converter reports it to its parent process."""

from __future__ import annotations

from enum import Enum

_ANOTHER = "Give the model's Hugging Face folder or id instead, or choose another model."


class Code(Enum):
    """What is wrong with a file, and what to do about it; the braces stand for the detail."""

    NOT_GGUF = ("{} is not a GGUF file.", "Give a file in the GGUF format.")
    DAMAGED = ("The GGUF file {} is damaged or incomplete.", "Download the file again.")
    SPLIT_FILE = (
        "This GGUF file holds only a part of the model: {}.",
        "Join the parts with llama-gguf-split --merge first.",
    )
    UNKNOWN_ARCHITECTURE = ("The GGUF file's architecture is not supported: {}.", _ANOTHER)
    UNKNOWN_TOKENIZER = ("The GGUF file's tokenizer is not supported: {}.", _ANOTHER)
    UNSUPPORTED = ("The GGUF file contains something that is not supported: {}.", _ANOTHER)


class GgufError(Exception):
    """A file that cannot be converted faithfully.

    detail: the file's name, or what in the file is not supported.
    """

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail
