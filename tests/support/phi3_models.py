"""The small Phi-3 of the tests and what is made of it, kept with the tests' other models."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from playground import models
from tests.support import small_phi3

QUESTION = "What is the capital of France?"
PROMPT = f"<|user|>\n{QUESTION}<|end|>\n<|assistant|>\n"


def source(home: Path, **config: Any) -> Path:
    """Its Hugging Face folder, made on first use; `config` as in small_phi3.build."""
    recipe = Path(small_phi3.__file__).read_bytes() + repr(sorted(config.items())).encode()
    folder = home / "tests" / f"phi3-{hashlib.sha256(recipe).hexdigest()[:8]}"
    if not (folder / "model.safetensors").is_file():
        small_phi3.build(folder, **config)
    return folder


def prepared(home: Path, file_format: str, precision: str) -> Path:
    """What a lane of that format and precision reads of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIPC_HOME", str(home))
        return models.prepare(str(source(home)), file_format, precision)
