"""What a preparation needs, what is prepared of a model, and removing it: with real files, real
child processes, and a hub on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from huggingface_hub import snapshot_download

from playground import models
from playground.arena import Arena
from playground.errors import BadInput, PreparationError
from playground.lanes.lane import parse
from playground.lanes.tokenizers import tokenizer_of
from playground.models import catalogue, children, folders, space
from playground.models.catalogue import Source
from playground.models.hub.files import Remote
from playground.runs.request import Request
from tests.support import small_gguf, small_phi3
from tests.support.fake_hub import FakeHub, Repository, serve
from tests.support.preparations import (
    MODEL,
    SMALL,
    XML,
    PrepareCommand,
    size_of,
    stub_converter,
    user_model,
    wait_until,
)

NAME, MADE = "makers/small", "makers/small-ov"
OPENVINO = {**SMALL, "openvino_model.xml": XML.encode(), "openvino_model.bin": bytes(200_000)}
SIZE, OPENVINO_SIZE = (sum(map(len, files.values())) for files in (MODEL, OPENVINO))
HF, INT4, ONNX = ("hf", "fp32"), ("openvino", "int4"), ("onnx", "int4")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> Iterator[FakeHub]:
    """A hub with a model that is also published as OpenVINO's, and a preset made of the two."""
    for name in list(os.environ):
        if name.upper().startswith("HF_") or name.upper().endswith(("_PROXY", "_OFFLINE")):
            monkeypatch.delenv(name)
    published = {INT4: Remote(MADE)}
    preset = Source("Small", "hub", "Small", remote=Remote(NAME), published=published)
    monkeypatch.setitem(catalogue.PRESETS, "Small", preset)
    with serve() as hub:
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.repositories = {NAME: Repository(MODEL), MADE: Repository(OPENVINO)}
        yield hub


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stub_converter(tmp_path / "library", monkeypatch)


def item(model: str) -> models.StoredModel:
    return next(stored for stored in models.inventory() if stored.model == model)


def test_what_a_preparation_needs_is_known_before_it_starts(fake: FakeHub) -> None:
    before = models.needs("small", [HF, ONNX])
    assert before.fetch_bytes == SIZE
    assert before.steps == (f"fetch 400 kB from {NAME}", "convert to ONNX int4 here")
    assert SIZE < before.disk_bytes < before.free_bytes
    assert before.sentence().startswith("Fetches 400 kB; needs 51 MB of disk, ")
    assert not fake.sent(MODEL["model.safetensors"]) and item("Small").bytes == 0

    models.prepare("small", *HF)
    after = models.needs("small", [HF, ONNX])
    assert (after.fetch_bytes, after.steps) == (0, ("convert to ONNX int4 here",))
    assert models.needs("small", [HF]).sentence() == "Nothing is missing."


def test_what_its_makers_publish_is_taken_and_said(fake: FakeHub) -> None:
    needs = models.needs("small", [INT4])
    assert needs.fetch_bytes == sum(map(len, SMALL.values())) + OPENVINO_SIZE
    assert needs.steps == (
        f"fetch 21 bytes from {NAME} (its tokenizer)",
        f"fetch 200 kB from {MADE} (as published by its makers)",
    )
    folder = models.prepare("small", *INT4)
    (part,) = item("Small").parts
    assert part.elsewhere and part.folder == folder and part.bytes == OPENVINO_SIZE
    assert part.recipe == f"fp16, as published in {MADE}"
    again = models.needs("small", [("openvino", "int8")])
    assert again.steps == (f"fetch 400 kB from {NAME}", "convert to OpenVINO int8 here")


def test_what_the_hub_refuses_is_said_before_it_starts(fake: FakeHub) -> None:
    fake.repositories[MADE].needs_token = "hf_anotherOne"
    needs = models.needs("small", [HF, INT4])
    assert needs.fetch_bytes is None and "not known" in needs.sentence()
    assert "which fails: makers/small-ov is gated" in needs.steps[-1]
    with pytest.raises(PreparationError, match="small-ov is gated") as caught:
        models.needs("small", [INT4])
    assert "HF_TOKEN" in caught.value.fix
    with pytest.raises(PreparationError, match="There is no model “makers/none”"):
        models.needs("makers/none", [HF, ONNX])


def test_a_disk_that_is_too_small_is_said_with_figures(
    fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.announced_bytes = 10**17
    needs = models.needs("small", [ONNX])
    with pytest.raises(PreparationError, match="about 1.*000000.* GB needed to make Small") as full:
        needs.check()
    assert "GB free at" in full.value.message and "AIPC_HOME" in full.value.fix
    monkeypatch.setattr(space, "free_bytes", lambda folder: 10**18)
    models.needs("small", [ONNX]).check()
    elsewhere = Path("/dev/shm")
    if elsewhere.is_dir() and elsewhere.stat().st_dev != tmp_path.stat().st_dev:
        monkeypatch.undo()
        assert space.tightest({tmp_path: 1, elsewhere: 10**18})[:2] == (elsewhere, 10**18)
        assert space.tightest({tmp_path: 1, elsewhere: 0})[:2] == (tmp_path, 1)


def test_the_inventory_survives_whatever_lies_in_the_folder(
    tmp_path: Path, empty_home: Path, converter: Path
) -> None:
    (converter / "go").touch()
    model = user_model(tmp_path / "mine")
    built = models.prepare(model, "openvino", "fp16")
    manifest = folders.read_manifest(built)
    assert manifest is not None
    changes: dict[str, dict[str, str | int]] = {
        "openvino-int4": {"files": "no files"},
        "openvino-int8": {"made_by": 1},
    }
    for name, changed in changes.items():
        (built.parent / name).mkdir()
        damaged = json.dumps({**manifest.model_dump(), **changed})
        (built.parent / name / folders.MANIFEST).write_text(damaged, encoding="utf-8")
    (built.parent / "onnx-int4").mkdir()
    (built.parent / "onnx-int4" / folders.MANIFEST).write_text("{", encoding="utf-8")
    (built.parent / ".onnx-int8.part").mkdir()
    (built.parent / ".onnx-int8.part" / "half").write_bytes(bytes(10_000))
    (empty_home / "models" / "notes.txt").write_text("mine", encoding="utf-8")

    items = models.inventory()
    assert [stored.model for stored in items] == [*catalogue.PRESETS, model]
    assert (items[-1].title, items[-1].bytes) == ("mine", size_of(built.parent))
    assert items[-1].parts == (
        models.Part("openvino", "fp16", "fp16", 8192 + len(XML), built, False),
    )
    assert models.remove(model) == items[-1].bytes
    assert [stored.model for stored in models.inventory()] == list(catalogue.PRESETS)
    assert size_of(tmp_path / "mine") == SIZE  # the user's own


def test_what_was_made_of_a_file_that_is_gone_can_be_removed(
    tmp_path: Path, empty_home: Path, converter: Path
) -> None:
    (converter / "go").touch()
    model = user_model(tmp_path / "mine")
    models.prepare(model, "openvino", "fp16")
    for path in Path(model).iterdir():
        path.unlink()
    assert item(model).title == "mine"
    assert models.remove(model) > 8192
    with pytest.raises(BadInput, match="There is no model"):
        models.remove("no such model")


def test_the_shared_cache_is_only_touched_when_asked(fake: FakeHub, tmp_path: Path) -> None:
    def theirs(name: str, revision: str = "main") -> Path:
        path = snapshot_download(
            name, revision=revision, cache_dir=tmp_path / "cache" / "hub", endpoint=fake.url
        )
        return Path(path)

    fake.repositories[NAME] = Repository({**MODEL, "config.json": b'{"hidden_size": 63}'})
    earlier = theirs(NAME, fake.repositories[NAME].commit)
    fake.repositories[NAME] = Repository(MODEL)
    fake.repositories["makers/other"] = Repository({**OPENVINO, "config.json": b"{}"})
    other = theirs("makers/other")
    ours = [models.prepare("small", *HF), models.prepare("small", *INT4)]
    begun = ours[1].parents[1] / "blobs" / "abc.incomplete"
    begun.write_bytes(bytes(1000))

    assert models.remove("small") < 10_000  # manifests
    assert all(folder.is_dir() for folder in ours) and item("Small").parts == ()
    before = size_of(tmp_path / "cache" / "hub")
    freed = models.remove("small", cache=True)
    assert not any(folder.exists() for folder in [*ours, begun])
    assert (earlier / "model.safetensors").is_file() and (other / "openvino_model.bin").is_file()
    assert OPENVINO_SIZE < freed < before
    assert models.remove("small", cache=True) == 0
    fetched = models.prepare(NAME, *HF)  # the same as no preset
    models.remove(NAME)
    assert models.item_of(NAME).title == "small"
    assert 0 < models.remove(NAME, cache=True) < 1000  # the earlier one has the same weights
    assert not fetched.exists() and (earlier / "model.safetensors").is_file()


def test_files_that_stub_windows_holds_open_stay_whole_and_are_named(
    tmp_path: Path, empty_home: Path, converter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (converter / "go").touch()
    model = user_model(tmp_path / "mine")
    folder = models.prepare(model, "openvino", "fp16")

    def stub_replace(source: Path, target: Path) -> None:
        raise PermissionError(13, "being used by another process")

    with monkeypatch.context() as windows:
        windows.setattr(os, "replace", stub_replace)
        with pytest.raises(PreparationError, match="openvino-fp16 could not be removed") as held:
            models.remove(model)
    assert "Unload the lanes" in held.value.fix
    assert models.is_ready(model, "openvino", "fp16") and item(model).parts[0].folder == folder


@pytest.mark.engine
def test_two_processes_make_a_gguf_files_folders_once_and_removing_waits(
    tmp_path: Path, empty_home: Path, converter: Path
) -> None:
    model = small_gguf.write(tmp_path / "小 model.gguf")
    lanes = "pytorch,openvino-genai:CPU:fp16"
    commands = [PrepareCommand(model, lanes, tmp_path / f"said {n}") for n in range(2)]
    wait_until(lambda: any("convert · OpenVINO fp16" in command.output for command in commands))
    wait_until(
        lambda: any("wait for another preparation" in command.output for command in commands)
    )
    with pytest.raises(PreparationError, match="小 model is being made right now") as caught:
        models.remove(str(model))
    assert "Wait until it is ready" in caught.value.fix
    (converter / "go").touch()
    assert [command.process.wait(200) for command in commands] == [0, 0]
    assert (converter / "calls").read_text(encoding="utf-8") == "x"
    assert sum(command.output.count("convert · GGUF to Hugging Face") for command in commands) == 1
    assert all(command.output.count(": ready in ") == 2 for command in commands)
    assert {part.format for part in item(models.check(str(model))).parts} == {"hf", "openvino"}


@pytest.mark.engine
def test_after_a_kill_in_a_conversion_the_next_start_goes_on(
    tmp_path: Path, empty_home: Path, converter: Path
) -> None:
    model = small_gguf.write(tmp_path / "small.gguf")
    first = PrepareCommand(model, "openvino-genai:CPU:fp16", tmp_path / "first")
    wait_until((converter / "calls").exists)
    started = psutil.Process(first.process.pid).children(recursive=True)
    first.process.kill()
    first.process.wait()
    assert not psutil.wait_procs(started, timeout=10)[1]
    assert models.is_ready(str(model), "hf", "fp32")
    assert not models.is_ready(str(model), "openvino", "fp16")
    (converter / "go").touch()
    second = PrepareCommand(model, "openvino-genai:CPU:fp16", tmp_path / "second")
    assert second.process.wait(200) == 0
    assert "GGUF" not in second.output and "(fp16, converted here)" in second.output
    assert not list(models.lane_folder(str(model), "openvino", "fp16").parent.glob(".*.part"))


def test_a_loaded_lane_answers_on_when_its_model_is_removed_and_knows_another_at_its_path(
    tmp_path: Path, arena: Arena
) -> None:
    model = models.check(str(small_gguf.write(tmp_path / "small.gguf")))
    lane = parse("pytorch")

    def answer() -> tuple[list[int], int]:
        run = arena.start(Request("Hello", (lane,), model=model, max_new_tokens=8))
        assert run.done.wait(200)
        (record,) = run.result().as_json()["lanes"]
        assert record["status"] == "ok", record["error"]
        return record["token_ids"], arena.hosts[lane].worker.starts

    first = answer()
    assert models.remove(model) > 100_000
    assert answer() == first
    small_gguf.write(Path(model), seed=1)
    assert not arena.hosts[lane].is_ready(model)  # so that the next run makes and loads it anew


def test_a_tokenizer_changed_at_its_path_is_read_again(tmp_path: Path) -> None:
    model, lane = user_model(tmp_path / "mine"), parse("pytorch")
    small_phi3.save_tokenizer(Path(model))
    small_phi3.write(Path(model) / "config.json", {"max_position_embeddings": 64})
    before = tokenizer_of(lane, model)
    assert tokenizer_of(lane, model) is before
    template = Path(model) / "chat_template.jinja"
    template.write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    after = tokenizer_of(lane, model)
    assert len(after.ids("Hi")) < len(before.ids("Hi"))
    template.unlink()
    (Path(model) / "config.json").unlink()  # no model any more: for lanes that have it loaded
    assert tokenizer_of(lane, model) is after


@pytest.fixture(autouse=True)
def nothing_keeps_running() -> Iterator[None]:
    yield
    assert not children._running
