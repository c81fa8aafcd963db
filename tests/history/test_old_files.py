"""Files that version 0.1.0 wrote, before its results had types, still read and stay as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from playground import charts
from playground.history import BENCH, RUN, History, compare, import_json, to_csv, to_json
from playground.runs.benchmark_record import BenchmarkResult, parse_result
from playground.runs.record import Record, RunResult
from playground.runs.schema import FILE, schema

DATA = Path(__file__).parent / "data"
EXPORTS = [DATA / "run-0.1.json", DATA / "benchmark-0.1.json"]
# What must not be loaded by a program that only reads a history.
ENGINES = ("torch", "openvino", "onnxruntime_genai", "transformers", "optimum")
STARTS_RUNS = ("playground.arena", "playground.lanes.host", "playground.workers.process")


@pytest.fixture
def old_history(tmp_path: Path) -> History:
    """A copy of a history with two runs and a benchmark."""
    shutil.copy(DATA / "history-0.1.sqlite", tmp_path / "history.sqlite")
    return History(tmp_path / "history.sqlite")


@pytest.mark.parametrize("file", EXPORTS, ids=lambda file: file.stem)
def test_an_old_export_is_exported_again_byte_for_byte(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert to_json(import_json(text)) == text


@pytest.mark.parametrize("file", EXPORTS, ids=lambda file: file.stem)
def test_a_result_prints_as_it_was_printed(file: Path) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))["result"]
    result = parse_result(content)
    assert isinstance(result, RunResult | BenchmarkResult)
    assert json.dumps(result.as_json()) == json.dumps(content)
    assert all(record.decode_tps for record in result.records)


def test_an_old_history_lists_opens_exports_compares_and_draws(old_history: History) -> None:
    listed = old_history.find()
    assert [(summary.id, summary.kind, summary.mode) for summary in listed] == [
        (3, BENCH, "in-turn"),
        (2, RUN, "together"),
        (1, RUN, "in-turn"),
    ]
    assert listed[0].at(listed[0].lanes[0]) == " at 16"
    run, together, benchmark = (old_history.get(number) for number in (1, 2, 3))
    assert run and together and benchmark and old_history.notice == ""
    for entry, file in zip((run, benchmark), EXPORTS, strict=True):
        assert to_json([entry]) == file.read_text(encoding="utf-8")
    csv = (DATA / "run-0.1.csv").read_bytes().decode("utf-8")
    assert to_csv([run]) == csv
    ratios = {row.ratio for row in compare(benchmark, benchmark).rows}
    assert ratios == {None, 1.0}
    assert compare(run, together).differing == ["model", "prompt", "max_new_tokens", "mode"]
    for entry in (run, together, benchmark):
        assert charts.available(entry.result)


def test_an_old_entry_can_be_deleted_and_added_again(old_history: History) -> None:
    entry = old_history.get(3)
    assert entry is not None and old_history.delete(3)
    added = old_history.get(old_history.add(entry))
    assert added is not None and to_json([added]) == to_json([entry])


def test_keys_of_another_version_survive() -> None:
    lane = {"lane": "a", "ttft_ms": 7, "later": {"x": [1, 2.50]}, "weights": {"scales": "e8m0"}}
    content = {"lanes": [lane], "seed": 3}
    [entry] = import_json(json.dumps(content))
    again = json.loads(to_json([entry]))["result"]
    assert again == content
    assert type(again["lanes"][0]["ttft_ms"]) is int


def test_a_figure_has_the_unit_in_its_name() -> None:
    units = {"_ms": "ms", "_s": "s", "_tps": "tokens/s", "_mb": "MB", "_gbs": "GB/s", "_w": "W"}
    properties = json.loads(schema())["$defs"]["Record"]["properties"]
    figures = {name: field for name, field in properties.items() if "unit" in field}
    assert {"ttft_ms", "load_s", "decode_tps", "peak_rss_mb", "idle_w"} <= figures.keys()
    for name, field in figures.items():
        expected = [unit for ending, unit in units.items() if name.endswith(ending)]
        assert expected in ([], [field["unit"]])
    assert list(properties) == list(Record.model_fields)


def test_the_schema_in_the_documentation_is_that_of_the_types() -> None:
    command = "python -m playground.runs.schema"
    assert FILE.read_text(encoding="utf-8") == schema(), f"run `{command}`"


def test_reading_a_history_loads_no_engine() -> None:
    code = f"""
import sys
import playground.history
print(*(name for name in {(*ENGINES, *STARTS_RUNS)} if name in sys.modules))
"""
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert loaded.stdout.split() == []
