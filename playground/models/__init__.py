"""Where models come from, and how they are converted to the format that each lane reads.

The default model is downloaded from the package index as a GGUF file and becomes a Hugging Face
folder, which is converted further. All heavy work is done in child processes; importing this
package imports no inference library.
"""

from __future__ import annotations

from playground.models.catalogue import DEFAULT_MODEL, PRESETS, check, title
from playground.models.children import paused
from playground.models.inventory import Part, StoredModel, inventory, item_of, remove
from playground.models.needs import needs
from playground.models.prepare import (
    fingerprint,
    is_ready,
    lane_folder,
    obstacle,
    prepare,
    tokenizer_folder,
    weights,
)
from playground.models.stage import Cancelled, Stage

__all__ = [
    "DEFAULT_MODEL",
    "PRESETS",
    "Cancelled",
    "Part",
    "Stage",
    "StoredModel",
    "check",
    "fingerprint",
    "inventory",
    "is_ready",
    "item_of",
    "lane_folder",
    "needs",
    "obstacle",
    "paused",
    "prepare",
    "remove",
    "title",
    "tokenizer_folder",
    "weights",
]
