"""Charts tell what was measured, name what is not known, and are harmless files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, BboxBase
from PIL import Image

from playground import charts
from playground.charts.kinds import KINDS
from playground.charts.picture import as_figure, plain_settings
from playground.charts.references import REFERENCES, references
from playground.charts.text import model_name, shortened
from playground.charts.theme import DARK, LIGHT, lane_style
from playground.charts.view import View
from playground.errors import BadInput
from playground.history import History
from playground.history.imports import import_json
from playground.runs.benchmark_record import Result, parse_result
from tests.support.command_line import playground
from tests.support.measured import bench, entry, record, result, run

PHI, GPU, CPU = "Phi-3-mini-4k-instruct", "openvino-genai:GPU:int4", "onnx-genai:CPU:int4"
UNKNOWN: dict[str, Any] = {"tpot_ms": None, "decode_tps": None, "ttft_ms": None, "status": "error"}


def row(lane: str = GPU, length: int = 32, ms: float = 30.0, **changes: Any) -> dict[str, Any]:
    """One lane at one length as the bench hands it over, with three runs' times."""
    figures = {"tpot_ms": ms, "decode_tps": 1000 / ms, "ttft_ms": 2.0 * length, "roof_share": 0.4}
    times = [[int(1e6 * (length + ms * place)) for place in range(16)] for _ in range(3)]
    whole = {
        "prompt_tokens": length,
        "bandwidth_gbs": 30.0,
        "j_per_token": 0.5,
        "p5": {name: 0.9 * value for name, value in figures.items()},
        "p95": {name: 1.1 * value for name, value in figures.items()},
        "runs": [{"t_ns": run_times} for run_times in times],
    }
    return record(lane, **{**figures, **whole, **changes})


def measured(*rows: dict[str, Any], model: str = PHI, mode: str = "in-turn") -> dict[str, Any]:
    measurement = bench(*rows)
    settings = {"model": model, "mode": mode, "runs": 3, "new_tokens": 16, "temperature": 0.0}
    copy = {"copy_gbs": 75.0}
    machine = {"cpu": "A processor", "threads": 8, "memory_gb": 31.6, "memory_copy": copy}
    return {**measurement, "settings": settings, "machine": machine}


def words(svg: str) -> list[str]:
    """What stands in a picture, in order: matplotlib notes each text beside its letters' shapes."""
    ElementTree.fromstring(svg)
    return re.findall(r"<!-- (.*?) -->", svg)


def names(result: dict[str, Any], other: dict[str, Any] | None = None) -> list[str]:
    parsed = parse_result(other) if other else None
    return [chart.name for chart in charts.available(parse_result(result), parsed)]


def draw_svg(
    result: dict[str, Any], name: str, dark: bool = False, other: dict[str, Any] | None = None
) -> str:
    return charts.svg(parse_result(result), name, dark, parse_result(other) if other else None)


def draw_png(result: dict[str, Any], name: str, dark: bool = False) -> bytes:
    return charts.png(parse_result(result), name, dark)


def test_a_bench_has_all_charts_and_a_run_of_compare_those_without_raw_times() -> None:
    all_but_sharing = [name for name in charts.NAMES if name != charts.SHARING]
    assert names(measured(row())) == all_but_sharing
    assert names(result()) == ["tokens-per-second", "ttft"]
    assert names(measured(row(**UNKNOWN, runs=[], roof_share=None, j_per_token=None))) == []
    assert all(
        chart.title and chart.about.endswith(".")
        for chart in charts.available(parse_result(result()))
    )


def test_a_chart_that_has_nothing_to_show_gets_a_sentence() -> None:
    with pytest.raises(BadInput, match="nothing that it shows is known") as caught:
        draw_svg(result(), charts.LATENCY)
    assert caught.value.fix == "Choose one of: tokens-per-second, ttft."
    with pytest.raises(BadInput, match="one together and one in turn"):
        draw_png(measured(row()), charts.SHARING)


def test_the_chart_of_latencies_tells_each_lane_at_each_length() -> None:
    rows = [row(ms=33.14), row(length=1024, ms=37.2), row(CPU, ms=88.4), row(CPU, 1024, **UNKNOWN)]
    texts = words(draw_svg(measured(*rows, model="smollm2"), charts.LATENCY))
    assert "Next-token latency (TPOT) – lower is better" in texts
    assert f"{GPU}: 33.1 / 37.2 ms" in texts
    assert f"{CPU} (error): 88.4 / n/a ms" in texts
    assert {"32", "1,024"} <= {*texts}
    assert "Machine: A processor, 8 logical cores, 32 GB" in texts
    small = "Model: smollm2, 16 new tokens, end of text ignored, greedy, medians of 3 runs"
    assert any(small in line for line in texts)


@pytest.mark.parametrize(
    ("model", "precision", "machines"),
    [
        (PHI, "int4", ["165H", "A770", "155H", "258V", "288V"]),
        ("OpenVINO/Phi-3-mini-4k-instruct-int4-ov@main", "int8", ["155H", "258V", "288V"]),
        (PHI, "fp16", ["258V", "288V"]),
        (PHI, "fp32", []),
        ("microsoft/Phi-3.5-mini-instruct", "int4", []),
        ("somebody/phi-3-mini-4k-instruct-longer", "int4", []),
    ],
)
def test_published_figures_are_of_the_same_model_in_the_same_precision(
    model: str, precision: str, machines: list[str]
) -> None:
    published = references(model, [precision])
    assert all(reference.precision == precision for reference in published)
    assert len(published) == len(machines)
    assert all(
        name in reference.machine for name, reference in zip(machines, published, strict=True)
    )


def test_published_figures_stand_beside_the_measured_ones() -> None:
    measurement = measured(row(GPU.replace("int4", "fp16")), model=f"C:\\Users\\anna\\{PHI}")
    texts = words(draw_svg(measurement, charts.LATENCY))
    assert "Core Ultra 7 258V, built-in GPU, FP16: 93.5 / 99.9 ms at 31 / 1,023 tokens" in texts
    assert "Core Ultra 9 288V, built-in GPU, FP16: 94.1 / 98.7 ms at 38 / 1,061 tokens" in texts
    assert "Published for this model on other machines:" in texts
    assert "llm_models_*.csv" in " ".join(texts) and "anna" not in " ".join(texts)
    others = words(draw_svg(measured(row(), model="smollm2"), charts.LATENCY))
    assert not any("Published" in text or "165H" in text for text in others)


def test_the_published_figures_are_those_of_the_seed() -> None:
    seed = {reference.machine: list(reference.points.items()) for reference in REFERENCES[:2]}
    assert seed == {
        "Core Ultra 7 165H, built-in GPU": [(32, 30), (256, 30), (512, 32), (1024, 34)],
        "Arc A770": [(32, 10), (256, 10), (512, 11), (1024, 11)],
    }


def test_what_a_lane_does_not_know_is_no_bar_of_0() -> None:
    measurement = measured(row(), row(CPU, **UNKNOWN))
    texts = words(draw_svg(measurement, charts.SPEED))
    assert texts.count("33.3") == 1 and texts.count("n/a") == 1
    assert f"{CPU} (error): n/a" in texts
    assert any("whiskers: p5 to p95" in line for line in texts)
    assert not any("whiskers" in line for line in words(draw_svg(result(), charts.SPEED)))


def test_bandwidth_utilization_says_what_it_is_a_share_of() -> None:
    texts = words(draw_svg(measured(row()), "memory-roof"))
    assert "40.0" in texts and "100 %: the memory’s copy bandwidth, 75.0 GB/s" in texts
    assert any("as STREAM measures it" in line for line in texts)


def test_figures_of_together_are_called_contended() -> None:
    together = measured(row(), row(CPU), mode="together")
    assert any("contended" in line for line in words(draw_svg(together, charts.SPEED)))
    in_turn = measured(row(), row(CPU))
    assert not any("contended" in line for line in words(draw_svg(in_turn, charts.SPEED)))


def test_sharing_is_together_over_in_turn_whichever_comes_first() -> None:
    alone = measured(row(ms=30), row(CPU, ms=40))
    shared = measured(row(ms=60), row(CPU, ms=50), mode="together")
    for one, other in ((alone, shared), (shared, alone)):
        assert charts.SHARING in names(one, other)
        texts = words(draw_svg(one, charts.SHARING, other=other))
        assert {"50.0", "80.0", "100 %: as fast as alone"} <= {*texts}
    elsewhere = {**alone, "machine": {"cpu": "Another processor"}}
    for wrong in (alone, measured(*shared["results"], model="x", mode="together"), None):
        assert charts.SHARING not in names(alone, wrong)
    assert charts.SHARING not in names(elsewhere, shared)


def test_a_lane_looks_the_same_in_all_charts_and_not_only_by_colour() -> None:
    styles = [lane_style(LIGHT, place) for place in range(7)]
    for sign in ("color", "marker", "hatch"):
        assert len({getattr(style, sign) for style in styles[:6]}) == 6
    assert len({(style.color, style.marker) for style in styles}) == 7
    css = Path("playground/page/static/base.css").read_text(encoding="utf-8")
    assert all(f"--accent: {color}" in css for color in LIGHT.lanes + DARK.lanes)
    rows = [row("fake:CPU:a"), row("fake:CPU:b")]
    for name in DISTINCT:
        for theme, dark in ((LIGHT, False), (DARK, True)):
            svg = draw_svg(measured(*rows), name, dark=dark)
            assert all(color in svg for color in (theme.background, *theme.lanes[:2]))
            assert theme.lanes[2] not in svg


# One of the charts that only differ in their figures, and those that are drawn differently.
DISTINCT = (charts.LATENCY, charts.SPEED, "along-the-answer", "memory-roof")
NASTY = "]]> --> <!-- %s {0} <script>alert(1)</script> & \0\x1b[2J\ud800 $\\frac{1}{0}$ \\\n今天 🦙"


@pytest.mark.parametrize("text", [NASTY, "$x^2$", "a" * 300])
def test_texts_of_a_result_stay_texts(text: str) -> None:
    lane = {"lane": f"fake:CPU:{text}", "device_name": text, "library_version": text}
    measurement = measured({**row(), **lane}, model=text)
    measurement["machine"].update(cpu=text, os=text, measured_at=text)
    for name in DISTINCT[:3]:
        svg = draw_svg(measurement, name)
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
        assert "script" not in tags and "image" not in tags
    assert draw_png(measurement, charts.SPEED)
    if text == "$x^2$":
        assert any("fake:CPU:$x^2$" in line for line in words(svg))


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("/home/anna/models/phi", "phi"),
        ("C:\\Users\\anna\\phi.gguf", "phi.gguf"),
        ("\\\\server\\anna\\phi", "phi"),
        ("~/anna/phi", "phi"),
        ("microsoft/Phi-3-mini-4k-instruct", "microsoft/Phi-3-mini-4k-instruct"),
        (PHI, PHI),
    ],
)
def test_a_model_that_is_a_path_shows_its_name_only(model: str, shown: str) -> None:
    assert model_name(model) == shown


def test_a_picture_shows_the_name_only_of_a_model_that_is_a_path() -> None:
    svg = draw_svg(measured(row(), model="/home/anna/models/phi"), charts.SPEED)
    assert "anna" not in svg and any("Model: phi," in text for text in words(svg))


def test_a_long_name_loses_its_middle() -> None:
    assert shortened("a" * 48) == "a" * 48
    assert shortened("a" * 30 + "b" * 30) == "a" * 24 + "…" + "b" * 24
    assert shortened("今" * 30) == "今" * 12 + "…" + "今" * 12
    assert shortened(" a\tb\0 ") == "a b"


def test_the_same_figures_make_the_same_file_with_no_date_in_it() -> None:
    measurement = measured(row(), row(CPU))
    first = draw_svg(measurement, charts.LATENCY)
    assert draw_svg(measurement, charts.LATENCY) == first
    assert "dc:date" not in first and "<text" not in first and str(Path.home()) not in first
    picture = draw_png(measurement, charts.LATENCY, dark=True)
    assert draw_png(measurement, charts.LATENCY, dark=True) == picture
    image = Image.open(BytesIO(picture))
    assert image.width == 2000 and {*image.info} == {"dpi"}


def test_threads_may_draw_at_once() -> None:
    result = measured(row(), row(CPU))
    calls = [(charts.LATENCY, False), (charts.SPEED, True), ("along-the-answer", False)]
    alone = [draw_svg(result, *call) for call in calls]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda call: draw_svg(result, *call), calls)) == alone


LONG = "今天的非常长的名称" * 3 + "W" * 50


@pytest.mark.parametrize(
    ("lanes", "lengths", "name"),
    [
        (1, [1], ""),
        (6, [32, 33, 34], ""),
        (6, [32, 1024], LONG),
        (13, [2**place for place in range(1, 15)], ""),
    ],
)
def test_nothing_is_cut_off_or_overlaps(lanes: int, lengths: list[int], name: str) -> None:
    rows = [row(f"fake:CPU:{lane}{name}", length) for lane in range(lanes) for length in lengths]
    view = View(parse_result(measured(*rows, model=name or PHI)))
    for chart in DISTINCT:
        with plain_settings():
            figure = as_figure(KINDS[chart], view, None, LIGHT)
            figure.draw_without_rendering()
        assert figure.get_size_inches()[0] == 10 and figure.get_size_inches()[1] < 40
        boxes, page = part_boxes(figure), figure.bbox
        assert all(box.x0 >= page.x0 and box.x1 <= page.x1 for box in boxes)
        assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))
        assert boxes[0].y1 <= page.y1 and boxes[-1].y0 >= page.y0


def part_boxes(figure: Figure) -> list[BboxBase]:
    """Of title, subtitle, all plots, legends and small print: from the top down."""
    outer = figure.subfigs[0]
    middle = outer.subfigs[0]
    inner = middle.subfigs[0]
    title, small_print = map(box_of, outer.texts)
    plots = Bbox.union([box_of(axes) for axes in inner.axes if axes.get_visible()])
    legends = map(box_of, (*inner.legends, *middle.legends))
    return [title, box_of(middle.texts[0]), plots, *legends, small_print]


def box_of(artist: Artist) -> BboxBase:
    box = artist.get_tightbbox()
    assert box is not None
    return box


@pytest.mark.parametrize(
    "odd", [None, 0, -1, 1e17, 1e299, 10**400, float("nan"), "12", [1], {}, True]
)
def test_odd_values_in_an_imported_file_are_refused_or_break_no_chart(odd: Any) -> None:
    changes: list[dict[str, Any]] = [
        *({name: odd} for name in ("roof_share", "tpot_ms", "prompt_tokens", "p5", "runs")),
        {"p95": {"tpot_ms": odd}},
        {"runs": [odd]},
        {"runs": [{"t_ns": odd}]},
        {"runs": [{"t_ns": [odd] * 3}]},
    ]
    rows = [
        row(f"fake:CPU:{place}", **change)
        for place, change in enumerate(changes)
        if imported(measured(row(**change)))
    ]
    file = measured(row(), *rows)
    for section, name in (
        *(("settings", name) for name in ("runs", "new_tokens")),
        *(("machine", name) for name in ("threads", "memory_gb", "memory_copy", "cpu")),
    ):
        changed = {**file, section: {**file[section], name: odd}}
        file = changed if imported(changed) else file
    result = imported({**file, "machine": odd}) or imported(file)
    assert result and all(charts.svg(result, name) for name in DISTINCT)


def imported(file: dict[str, Any]) -> Result | None:
    """The file's result; None where it is refused in a sentence."""
    try:
        [entry] = import_json(json.dumps(file))
    except BadInput as error:
        assert error.message.endswith(".") and error.fix
        return None
    return entry.result


def test_no_picture_no_matplotlib() -> None:
    code = (
        "import sys, playground.cli.bench; from playground import charts; "
        "from playground.runs.benchmark_record import parse_result; "
        "charts.available(parse_result({'lanes': []})); sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("package", ["charts", "doctor", "history"])
def test_what_only_reads_results_imports_no_engine(package: str) -> None:
    """In a process of its own, since another test may have imported one here."""
    code = (
        f"import sys, playground.{package}; "
        "engines = {'torch', 'openvino', 'onnxruntime_genai', 'transformers', 'matplotlib'}; "
        "start_up = {'playground.arena', 'playground.lanes.host', 'playground.workers.process'}; "
        "print(*sorted(sys.modules.keys() & (engines | start_up)))"
    )
    command = [sys.executable, "-c", code]
    child = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert (child.stdout, child.returncode) == ("\n", 0), child.stderr


def test_the_command_line_writes_pictures_of_the_history(tmp_path: Path) -> None:
    alone, shared = measured(row(), row(CPU)), measured(row(), row(CPU), mode="together")
    store = History(tmp_path / "history.sqlite")
    for measurement in (alone, shared):
        store.add(entry(measurement))
    store.add(run())
    for ids in (["1"], ["1", "2"], ["3"]):
        file = tmp_path / "a picture.png"
        arguments = ["export", *ids, "--format", "png", "--output", str(file)]
        assert playground("history", *arguments, home=tmp_path).returncode == 0
        with Image.open(file) as image:
            assert image.width == 2000
        file.unlink()
    for arguments, sentence in (
        (["1", "2", "3", "--format", "png"], "A picture shows one result"),
        (["3", "--format", "png", "--chart", "latency"], "cannot be drawn"),
        (["1", "--chart", "ttft"], "Only a PNG shows a chart"),
    ):
        called = playground("history", "export", *arguments, home=tmp_path)
        assert called.returncode == 2 and sentence in called.stderr and called.stdout == ""


def test_bench_draws_the_chart_of_latencies_and_refuses_a_wrong_name_first(tmp_path: Path) -> None:
    small = ["--lanes", "fake:CPU:2000tps", "--prompt-tokens", "8", "--new-tokens", "20"]
    small += ["--runs", "1", "--warmup", "0", "--chart"]
    for name in ("a.svg", "b.PNG"):
        assert playground("bench", *small, str(tmp_path / name), home=tmp_path).returncode == 0
    assert "fake:CPU:2000tps" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    with Image.open(tmp_path / "b.PNG") as image:
        assert image.width == 2000
    for name in ("c.jpg", "none/c.png"):
        called = playground("bench", *small, str(tmp_path / name), home=tmp_path)
        assert called.returncode == 2 and "run 1" not in called.stderr
