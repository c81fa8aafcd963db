"""Where models come from and how each lane's format is made.

The default model comes from the package index as a GGUF file, becomes a Hugging Face folder, and
that becomes what each lane reads. All heavy work is done in child processes; importing this
package imports no inference library.
"""

from __future__ import annotations

from playground.models.catalogue import DEFAULT_MODEL, PRESETS, check, title
from playground.models.children import paused
from playground.models.inventory import Part, StoredModel, inventory, item_of, mark, remove
from playground.models.needs import Needs, needs
from playground.models.preparing import (
    is_ready,
    lane_folder,
    obstacle,
    prepare,
    tokenizer_folder,
    validate,
    weights,
)
from playground.models.stage import Cancelled, Stage

__all__ = [
    "DEFAULT_MODEL",
    "PRESETS",
    "Cancelled",
    "StoredModel",
    "Needs",
    "Part",
    "Stage",
    "check",
    "inventory",
    "is_ready",
    "item_of",
    "lane_folder",
    "mark",
    "needs",
    "obstacle",
    "paused",
    "prepare",
    "remove",
    "title",
    "tokenizer_folder",
    "validate",
    "weights",
]
