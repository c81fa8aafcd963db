"""Published next-token latencies of other machines, to show beside this machine's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from playground.models.catalogue import PRESETS

MODEL = "Phi-3-mini-4k-instruct"

# The two charts of Microsoft's Phi-3 cookbook, "Inference Phi-3 in AI PC": pictures
# imgs/03/AIPC/aipcphitokenlatency.png and aipcphitokenlatency770.png, "Next token latency (lower
# is better)", INT4. They name neither software versions nor the batch.
COOKBOOK = "Phi-3 Cookbook, “Inference Phi-3 in AI PC”, charts of next token latency, INT4"
# github.com/openvinotoolkit/openvino, docs/sphinx_setup/_static/benchmarks_files: columns "Input
# Size" and "2nd latency (ms)" of phi-3-mini-4k-instruct in llm_models_7-155H.csv, 7-258V.csv and
# 9-288V.csv; INT8 is their INT8-CW, INT4 their INT4-MIXED, of which they list two recipes: here is
# the faster one.
OPENVINO = (
    "OpenVINO documentation, llm_models_*.csv (OpenVINO 2024.6 to 2025.0), 2nd token latency, "
    "built-in GPU, batch 1"
)


@dataclass(frozen=True)
class Reference:
    """points: milliseconds per token by the number of input tokens."""

    machine: str
    precision: str
    points: dict[int, float]
    source: str


REFERENCES = (
    Reference(
        "Core Ultra 7 165H, built-in GPU",
        "int4",
        {32: 30, 256: 30, 512: 32, 1024: 34},
        COOKBOOK,
    ),
    Reference("Arc A770", "int4", {32: 10, 256: 10, 512: 11, 1024: 11}, COOKBOOK),
    Reference("Core Ultra 7 155H, built-in GPU", "int4", {31: 38.2, 1023: 44.2}, OPENVINO),
    Reference("Core Ultra 7 258V, built-in GPU", "int4", {31: 32.5, 1023: 36.7}, OPENVINO),
    Reference("Core Ultra 9 288V, built-in GPU", "int4", {38: 35.9, 1061: 40.6}, OPENVINO),
    Reference("Core Ultra 7 155H, built-in GPU", "int8", {31: 60.5, 1023: 65.7}, OPENVINO),
    Reference("Core Ultra 7 258V, built-in GPU", "int8", {31: 53.8, 1023: 57.4}, OPENVINO),
    Reference("Core Ultra 9 288V, built-in GPU", "int8", {38: 56.9, 1061: 60.9}, OPENVINO),
    Reference("Core Ultra 7 258V, built-in GPU", "fp16", {31: 93.5, 1023: 99.9}, OPENVINO),
    Reference("Core Ultra 9 288V, built-in GPU", "fp16", {38: 94.1, 1061: 98.7}, OPENVINO),
)


def references(model: str | None, precisions: Collection[str | None]) -> list[Reference]:
    """The references for this model in these precisions; none for another model."""
    if model is None or model.partition("@")[0].rpartition("/")[2].casefold() not in model_names():
        return []
    return [reference for reference in REFERENCES if reference.precision in precisions]


def model_names() -> set[str]:
    """The names of the model and of its published conversions, in lower case."""
    preset = PRESETS[MODEL]
    assert preset.remote is not None
    repositories = [preset.remote.repo, *(remote.repo for remote in preset.published.values())]
    return {name.rpartition("/")[2].casefold() for name in (MODEL, *repositories)}
