"""Figures leave the program as JSON, CSV and Markdown, come back the same, and are compared."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from playground.errors import BadInput
from playground.history import (
    BENCH,
    History,
    compare,
    import_json,
    to_csv,
    to_json,
    to_markdown,
)
from tests.support.command_line import playground
from tests.support.measured import bench, entry, record, result, run, settings

FIGURES = st.none() | st.floats(allow_nan=False, min_value=-1e9, max_value=1e9)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def markdown_rows(text: str) -> list[list[str]]:
    """The first table's rows as a reader sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[str]] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            children = tokens[place + 1].children or []
            assert {child.type for child in children} <= {"text", "text_special"}
            rows[-1].append("".join(child.content for child in children))
    return rows


@given(tps=FIGURES, ttft=FIGURES, name=TEXTS, prompt=st.text())
def test_json_that_comes_back_tells_the_same_figures(
    tps: float | None, ttft: float | None, name: str, prompt: str
) -> None:
    content = result(record(decode_tps=tps, ttft_ms=ttft, device_name=name))
    kept = entry(content, settings(prompt), [{"cpu": tps}], "2026-11-20T12:34:56.789Z")
    assert import_json(to_json([kept])) == [kept]
    assert import_json(to_json([kept, kept])) == [kept, kept]


def test_what_ask_and_bench_print_can_be_imported() -> None:
    run_result, benchmark = result(), bench(record(prompt_tokens=32, runs=[{"t_ns": [1, 2]}]))
    assert import_json(json.dumps(run_result)) == [entry(run_result)]
    [taken] = import_json(json.dumps(benchmark))
    assert (taken.kind, taken.model) == (BENCH, "smollm2-135m")
    assert taken.result.as_json() == benchmark


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "holds no run"),
        ("7", "it is not an object"),
        ("{}", "“lanes” is missing"),
        ('{"lanes": []}', "“lanes” is empty"),
        ('{"lanes": [{}]}', "“lanes”, number 1, “lane” is missing"),
        (json.dumps(result(record(decode_tps="fast"))), "“decode_tps” is not a number"),
        (json.dumps(result(record(decode_tps=True))), "“decode_tps” is not a number"),
        (json.dumps(result(record(ttft_ms=10**400))), "“ttft_ms” is not a number"),
        (json.dumps(result(record(ttft_ms=float("nan")))), "NaN is not a number"),
        ('{"lanes": [{"lane": "a", "ttft_ms": 1e999}]}', "“ttft_ms” is not a number"),
        (json.dumps(result(record(text=["a"]))), "“text” is not text"),
        (json.dumps(result(record(weights="int4"))), "“weights” is not an object"),
        (json.dumps(result(record(error={"fix": 1}))), "“error”, “fix” is not text"),
        (
            json.dumps(result(record(token_ids=["a"]))),
            "“token_ids”, number 1 is not a whole number",
        ),
        (json.dumps({**result(), "mode": ["x"]}), "“mode” is not text"),
        ('{"format": "aipc-playground", "version": 2}', "A newer version"),
        ('{"format": "aipc-playground", "version": 1}', "“kind” is missing"),
        (to_json([run()]).replace("2026-11", "2026-13"), "“made_at” is not a time"),
        (to_json([run()]).replace('"settings": {', '"set": {'), "“settings” is missing"),
        (to_json([run()]).replace('"lanes": [', '"lines": ['), "“lanes” is missing"),
    ],
)
def test_a_file_that_is_none_of_ours_gets_a_sentence(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refusal:
        import_json(text)
    assert refusal.value.fix


@given(st.lists(st.tuples(TEXTS, FIGURES), min_size=1, max_size=4))
def test_csv_comes_back_with_its_figures_and_no_formulas(
    lanes: list[tuple[str, float | None]],
) -> None:
    records = [record(device_name=name, decode_tps=tps) for name, tps in lanes]
    rows = csv_rows(to_csv([run(*records)]))
    assert len(rows) == len(lanes)
    for row, (name, tps) in zip(rows, lanes, strict=True):
        assert row["decode_tps"] == ("" if tps is None else str(tps))
        assert row["device_name"] in (name, f"'{name}")
        assert row["device_name"][:1] not in tuple("=+-@\t\r")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_made_harmless(text: str) -> None:
    [row] = csv_rows(to_csv([run(record(device_name=text, error={"message": text, "fix": ""}))]))
    assert row["device_name"] == row["error"] == f"'{text}"


def test_csv_has_a_row_for_each_lane_and_prompt_length() -> None:
    measured = entry(bench(*(record(prompt_tokens=n, energy_j=4.0) for n in (32, 256))))
    rows = csv_rows(to_csv([run(record(), record("pytorch:CPU:fp32"), entry_id=3), measured]))
    assert [(row["run"], row["kind"], row["prompt_tokens"]) for row in rows] == (
        [("3", "run", "37"), ("3", "run", "37"), ("", "bench", "32"), ("", "bench", "256")]
    )
    assert [row["contended"] for row in rows] == ["yes", "yes", "no", "no"]
    assert [row["j_per_token"] for row in rows] == ["", "", "0.5", "0.5"]
    assert rows[0]["recipe"] == "int8 asym, per channel" and rows[0]["bandwidth_gbs"] == ""


@given(name=TEXTS, recipe=TEXTS)
def test_text_stays_text_in_a_markdown_table(name: str, recipe: str) -> None:
    measured = run(record(device_name=name, weights={"recipe": recipe}), record("pytorch:CPU:fp32"))
    head, first, second = markdown_rows(to_markdown([measured]))
    assert len(head) == len(first) == len(second)
    cells = dict(zip(head, first, strict=True))
    words = " ".join(name.replace("\0", " ").split())
    assert cells["hardware"] == (words or "n/a")
    assert cells["tokens/s"] == "41.2"


@pytest.mark.parametrize("text", ["a|b", "a\nb", "<b>x</b>", "`x`", "![x](y)", "a\\|b", "&lt;"])
def test_markup_in_a_name_is_shown_as_it_is(text: str) -> None:
    head, row = markdown_rows(to_markdown([run(record(device_name=text))]))
    assert row[head.index("hardware")] == text.replace("\n", " ")


def test_markdown_says_what_was_run_what_is_unknown_and_what_is_contended() -> None:
    text = to_markdown([run(record(), record("pytorch:CPU:fp32"))])
    assert text.startswith(
        "Model smollm2-135m · together, figures contended · 2026-11-20T12:34:56.789Z\n"
    )
    head, row, _ = markdown_rows(text)
    cells = dict(zip(head, row, strict=True))
    assert cells["J/token"] == cells["GB/s"] == cells["device busy %"] == "n/a"
    assert (cells["TTFT ms"], cells["peak MB"], cells["new tokens"]) == ("35.1", "612", "8")
    assert "contended" not in to_markdown([run(mode="in-turn")])


def test_two_runs_are_compared_figure_by_figure() -> None:
    a = run(record(decode_tps=40.0, load_s=0.0, energy_j=None), mode="in-turn")
    b = run(record(decode_tps=50.0, energy_j=8.0), record("pytorch:CPU:fp32"), mode="in-turn")
    comparison = compare(a, b)
    rows = {(row.lane, row.figure): (row.a, row.b, row.ratio) for row in comparison.rows}
    assert rows["openvino-genai:CPU:int8", "decode_tps"] == (40.0, 50.0, 1.25)
    assert rows["openvino-genai:CPU:int8", "load_s"] == (0.0, 1.25, None)
    assert rows["openvino-genai:CPU:int8", "j_per_token"] == (None, 1.0, None)
    assert rows["pytorch:CPU:fp32", "decode_tps"] == (None, 41.2, None)
    assert comparison.sharing == [] and comparison.differing == []


def test_together_against_in_turn_tells_what_sharing_costs() -> None:
    other = record("pytorch:CPU:fp32", decode_tps=None)
    alone = run(record(decode_tps=40.0), other, mode="in-turn")
    shared = run(record(decode_tps=10.0), other)
    for pair in ((alone, shared), (shared, alone)):
        comparison = compare(*pair)
        [first, second] = comparison.sharing
        assert (first.lane, first.ratio) == ("openvino-genai:CPU:int8", 0.25)
        assert second.ratio is None
        assert comparison.differing == ["mode"]


def test_what_is_not_alike_has_no_price_of_sharing() -> None:
    pair = record(), record("pytorch:CPU:fp32")
    alone, together = run(*pair, mode="in-turn"), run(*pair)
    other_model = entry({**result(*pair), "model": "phi-3"}, settings(model="phi-3"))
    assert compare(alone, other_model).sharing == []
    assert "model" in compare(alone, other_model).differing
    assert compare(run(mode="in-turn"), run()).sharing == []  # one lane alone shares nothing
    assert compare(together, together).sharing == []


def test_benches_are_compared_at_each_prompt_length() -> None:
    a = entry(bench(*(record(prompt_tokens=n, decode_tps=40.0) for n in (32, 256))))
    b = entry(bench(*(record(prompt_tokens=n, decode_tps=n) for n in (256, 32))))
    ratios = [row.ratio for row in compare(a, b).rows if row.figure == "decode_tps"]
    assert ratios == [32 / 40, 256 / 40]


def test_the_command_line_exports_and_imports(empty_home: Path, tmp_path: Path) -> None:
    history = History()
    number = str(
        history.add(entry(result(record(device_name="=1")), settings("你好"), [{"cpu": 1.5}]))
    )
    printed = playground("history", "export", number, home=empty_home)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "run.json").write_text(printed.stdout, encoding=encoding)
        imported = playground("history", "import", str(tmp_path / "run.json"), home=empty_home)
        again = history.get(int(imported.stdout.removeprefix("Imported as ").rstrip(".\n")))
        before = history.get(int(number))
        assert before and again and again.id != before.id
        assert (again.result, again.settings, again.gauges, again.made_at) == (
            (before.result, before.settings, before.gauges, before.made_at)
        )
    piped = playground("history", "import", "-", home=empty_home, stdin=printed.stdout)
    assert piped.returncode == 0
    wrong = playground("history", "import", "-", home=empty_home, stdin="{}")
    assert wrong.returncode == 2 and "This is not a run or benchmark" in wrong.stderr


def test_a_csv_file_is_for_excel_and_a_pipe_is_plain(empty_home: Path, tmp_path: Path) -> None:
    number = str(History().add(entry(result(record(device_name="处理器")), settings())))
    export: list[Any] = ["history", "export", number, "--format", "csv"]
    file = tmp_path / "run.csv"
    assert playground(*export, "--output", str(file), home=empty_home).stdout == ""
    data = file.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfrun,made_at,") and data.count(b"\r\n") == 2
    assert data.count(b"\r") == data.count(b"\n") == 2
    assert playground(*export, home=empty_home).stdout == data.decode("utf-8-sig").replace(
        "\r\n", "\n"
    )  # the test reads it with any line ends
    table = playground("history", "export", number, "--format", "markdown", home=empty_home)
    assert "处理器" in table.stdout
