"""The options that several commands take: the same name, meaning and help everywhere.

run.py repeats the help of those that it hands on, since it imports no package; a test compares.
"""

from __future__ import annotations

from typing import Annotated

import typer

# The defaults of these two are known only after heavy imports; a test compares the model's.
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="M",
        show_default=False,
        help="Preset, Hugging Face owner/name, GGUF file or folder.  "
        "[default: SmolLM2-135M-Instruct]",
    ),
]
Lanes = Annotated[
    str,
    typer.Option(
        "--lanes",
        metavar="A,B",
        show_default=False,
        help="Lanes to run, for example fake,onnx-genai:CPU:int8.  "
        "[default: all installed engines]",
    ),
]
Mode = Annotated[
    str,
    typer.Option("--mode", metavar="MODE", help="Run the lanes together or in-turn."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Load a model even if memory seems too small for it.")
]
NoHistory = Annotated[
    bool, typer.Option("--no-history", help="Save neither prompts nor results to the history.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
