"""Models from a hub: the real huggingface_hub in real child processes, on a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy
import psutil
import pytest
from huggingface_hub import hf_hub_download, snapshot_download
from safetensors.numpy import save
from tokenizers import Tokenizer, models

from playground.errors import PreparationError
from playground.models import Cancelled, Stage, children, folders
from playground.models.children import Workspace
from playground.models.hub import client as hub
from playground.models.hub import diagnosis, sentences
from playground.models.hub.errors import Code, HubError
from playground.models.hub.files import ALL, SMALL, Remote, What, choose, lacking, parse_id
from tests.support.fake_hub import FakeHub, Repository, serve

NAME = "makers/small-model"
REMOTE = Remote(NAME)
TOKEN = "hf_aSecretOfTheUser"
PICKLES = {"pytorch_model.bin": b"pickle", "training_args.bin": b"pickle", "optimizer.pt": b"p"}
NEVER = {
    **PICKLES,
    "modeling_small.py": b"import os",
    "original/consolidated.00.pth": b"pickle",
    "consolidated.safetensors": b"the same again",
    "onnx/model.onnx": b"another format",
    "small.Q4_0.gguf": b"GGUF",
    "README.md": b"# Small",
}


def model_files(megabytes: float = 3) -> dict[str, bytes]:
    """A model as it lies on a hub: real files, random weights."""
    values = numpy.random.default_rng(0).integers(0, 255, int(megabytes * 1e6), numpy.uint8)
    return {
        "config.json": json.dumps({"model_type": "llama", "hidden_size": 64}).encode(),
        "generation_config.json": b"{}",
        "tokenizer.json": Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).to_str().encode(),
        "tokenizer_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors": save({"weight": values}),
    }


def small_files() -> dict[str, bytes]:
    return {name: data for name, data in model_files().items() if name != "model.safetensors"}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one model, and this process's environment pointing to it."""
    for name in list(os.environ):
        if name.upper().startswith("HF_") or name.upper().endswith(("_PROXY", "_OFFLINE")):
            monkeypatch.delenv(name)
    with serve() as found:
        monkeypatch.setenv("HF_HOME", str(tmp_path / "user's cache"))
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "60")  # the store makes us wait
        found.repositories[NAME] = Repository({**model_files(), **NEVER})
        yield found
    assert not children._running


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Path]:
    """`fetch()` or `fetch(remote, what, report, cancel)`."""
    (tmp_path / "scratch").mkdir()

    def run(
        remote: Remote = REMOTE,
        what: What = ALL,
        report: Callable[[Stage], None] = lambda stage: None,
        cancel: threading.Event | None = None,
    ) -> Path:
        workspace = Workspace(tmp_path / "scratch", tmp_path / "log", cancel)
        return hub.fetch(remote, what, workspace, report)

    return run


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., hub.DownloadPlan]:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return lambda remote=REMOTE, what=ALL: hub.plan(
        remote, what, Workspace(tmp_path / "scratch", tmp_path / "log")
    )


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def weights(fake: FakeHub) -> bytes:
    return fake.repositories[NAME].files["model.safetensors"]


def part_of(data: bytes) -> Path:
    blobs = Path(os.environ["HF_HOME"]) / "hub" / "models--makers--small-model" / "blobs"
    return blobs / f"{hashlib.sha256(data).hexdigest()}.incomplete"


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.05)


def half_way(fake: FakeHub, background: ThreadPoolExecutor, fetch: Callable[..., Path],
             cancel: threading.Event | None = None) -> tuple[Future[Path], Path]:  # fmt: skip
    """A fetch that the store keeps waiting in the middle of the weights, and its partial file."""
    fake.stop_after = 2_500_000
    running = background.submit(fetch, cancel=cancel)
    part = part_of(weights(fake))
    wait_until(lambda: part.exists() and part.stat().st_size > 2e6)
    return running, part


def test_a_model_is_fetched_whole_and_nothing_else_with_it(
    fake: FakeHub, fetch: Callable[..., Path], plan: Callable[..., hub.DownloadPlan], tmp_path: Path
) -> None:
    expected = model_files()
    size = sum(map(len, expected.values()))
    before = plan()
    commit = fake.repositories[NAME].commit
    assert before == hub.DownloadPlan(size, size, len(expected), commit)
    assert not fake.sent(weights(fake))

    fetch(what=SMALL)
    assert plan().bytes_missing == len(weights(fake))
    stages: list[Stage] = []
    folder = fetch(report=stages.append)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == expected
    folders.check_source(folder)
    assert len(fake.sent(weights(fake))) == 1
    assert all(not fake.asked("GET", name) and not fake.asked("HEAD", name) for name in NEVER)
    assert {one.path.split("/")[1] for one in fake.requests if one.server == "hub"} == {
        "api",
        "makers",
    }, "no telemetry"
    assert stages[0] == Stage("fetch", None, "small-model")
    assert any("of 3 MB" in stage.detail for stage in stages)
    assert stages[-1].fraction == 1.0
    # The cache is huggingface_hub's own, and so it finds the model there.
    cache = str(folder.parents[2])
    assert snapshot_download(NAME, cache_dir=cache, local_files_only=True) == str(folder)


def test_what_lies_in_the_cache_is_not_fetched_again_and_works_offline(
    fake: FakeHub,
    fetch: Callable[..., Path],
    plan: Callable[..., hub.DownloadPlan],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = Path(os.environ["HF_HOME"]) / "hub"
    for name in model_files():
        theirs = Path(hf_hub_download(NAME, name, cache_dir=cache, endpoint=fake.url)).parent
    fake.requests.clear()
    assert fetch() == theirs
    assert len(fake.requests) == 1  # what is the commit now?
    fake.answers = (503, b"")
    assert fetch() == theirs
    fake.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch() == theirs
    assert plan().bytes_missing == 0
    (theirs / "model.safetensors").unlink()
    with pytest.raises(PreparationError, match="model.safetensors of .* is not in the cache"):
        fetch()
    assert fetch(what=SMALL) == theirs
    assert not fake.requests


def test_a_killed_fetch_is_gone_on_with(
    fake: FakeHub,
    fetch: Callable[..., Path],
    plan: Callable[..., hub.DownloadPlan],
    background: ThreadPoolExecutor,
) -> None:
    running, part = half_way(fake, background, fetch)
    (child,) = children._running
    psutil.Process(child).kill()
    with pytest.raises(PreparationError, match="small-model"):
        running.result(60)
    had = part.stat().st_size
    fake.go_on.set()
    missing = plan().bytes_missing
    assert missing == len(weights(fake)) - had
    stages: list[Stage] = []
    assert (fetch(report=stages.append) / "model.safetensors").read_bytes() == weights(fake)
    assert stages[-1].detail.startswith(f"small-model, {missing / 1e3:.0f} of")
    assert [one.range for one in fake.sent(weights(fake))] == [None, f"bytes={had}-"]


def test_a_cancelled_fetch_leaves_nothing_that_looks_whole(
    fake: FakeHub,
    fetch: Callable[..., Path],
    background: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancel = threading.Event()
    running, part = half_way(fake, background, fetch, cancel)
    cancel.set()
    with pytest.raises(Cancelled):
        running.result(60)
    fake.go_on.set()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PreparationError, match="not in the cache"):
        fetch()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    part.write_bytes(bytes(part.stat().st_size))  # as a power cut may leave it
    assert (fetch() / "model.safetensors").read_bytes() == weights(fake)
    assert [bool(one.range) for one in fake.sent(weights(fake))] == [False, True, False]


def test_two_processes_fetch_once(
    fake: FakeHub, fetch: Callable[..., Path], background: ThreadPoolExecutor
) -> None:
    first, _ = half_way(fake, background, fetch)
    seen = len(fake.asked("HEAD", "model.safetensors"))
    second = background.submit(fetch)
    wait_until(lambda: len(fake.asked("HEAD", "model.safetensors")) > seen)
    fake.go_on.set()
    assert first.result(60) == second.result(60)
    assert len(fake.sent(weights(fake))) == 1


def test_a_flipped_byte_does_not_go_unnoticed(fake: FakeHub, fetch: Callable[..., Path]) -> None:
    fake.flip_a_byte = True
    with pytest.raises(PreparationError, match="model.safetensors of .* arrived damaged"):
        fetch()
    fake.flip_a_byte = False
    assert (fetch() / "model.safetensors").read_bytes() == weights(fake)


def test_a_reset_connection_is_taken_up_again(
    fake: FakeHub, fetch: Callable[..., Path], background: ThreadPoolExecutor
) -> None:
    fake.resets = 1
    running, _ = half_way(fake, background, fetch)
    fake.go_on.set()
    assert (running.result(60) / "model.safetensors").read_bytes() == weights(fake)
    assert [bool(one.range) for one in fake.sent(weights(fake))] == [False, True]


def test_a_folder_of_a_repository_is_fetched_alone(
    fake: FakeHub, fetch: Callable[..., Path]
) -> None:
    inside = {**small_files(), "genai_config.json": b"{}", "a.onnx": b"", "a.onnx.data": b"data"}
    elsewhere = {f"cpu/{name}": data for name, data in {**inside, **NEVER}.items()}
    fake.repositories[NAME] = Repository({**model_files(), **elsewhere})
    folder = fetch(Remote(NAME, folder="cpu"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == inside
    assert not fake.asked("HEAD", f"{fake.repositories[NAME].commit}/config.json")


@pytest.mark.parametrize(
    "made",
    [
        {"genai_config.json", "phi.onnx", "phi.onnx.data"},
        {"openvino_model.xml", "openvino_model.bin", "openvino_config.json"},
        {f"model-0000{n}-of-00002.safetensors" for n in (1, 2)} | {"model.safetensors.index.json"},
    ],
    ids=["onnx", "openvino", "shards"],
)
def test_what_makes_a_model_is_told_by_names(made: set[str]) -> None:
    small = set(small_files())
    inside = {f"cpu/{name}" for name in small | made}
    names = [*model_files(), *inside, *(f"cpu/{name}" for name in NEVER), "cpu/deeper/a.onnx"]
    assert set(choose(names, Remote(NAME, folder="cpu"), ALL)) == inside
    assert not lacking(small | made, ALL)
    weights = {name for name in made if name.endswith((".bin", ".onnx", "2.safetensors"))}
    assert lacking((small | made) - weights, ALL)
    assert not lacking((small | made) - weights, SMALL)


def test_the_token_goes_to_the_hub_alone_and_into_no_text(
    fake: FakeHub, fetch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake.repositories[NAME].needs_token = TOKEN
    told = []

    def refused() -> str:
        with pytest.raises(PreparationError) as caught:
            fetch()
        told.append(str(caught.value))
        return told[-1]

    assert f"Accept them at {fake.url}/{NAME}" in refused()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "does not accept your Hugging Face token" in refused()
    fake.valid_tokens = {TOKEN, "hf_another"}
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert "the account of your Hugging Face token has no access" in refused()
    monkeypatch.setenv("HF_TOKEN", "hf_ünicode")
    assert "does not accept your Hugging Face token" in refused()
    monkeypatch.delenv("HF_TOKEN")
    Path(os.environ["HF_HOME"]).mkdir(exist_ok=True)
    (Path(os.environ["HF_HOME"]) / "token").write_text(TOKEN, encoding="utf-8")
    fetch()
    assert {one.token for one in fake.sent(weights(fake))} == {None}
    assert {one.token for one in fake.asked("HEAD", "model.safetensors")} >= {TOKEN}
    texts = [*told, (tmp_path / "log").read_text(encoding="utf-8")]
    secrets = (TOKEN, "hf_another", "hf_ünicode")
    assert not any(secret in text for text in texts for secret in secrets)


def test_proxies_are_used_and_spared(
    fake: FakeHub, fetch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("HTTP_PROXY", fake.url)
    monkeypatch.setenv("NO_PROXY", "localhost")  # where the store is
    fetch(what=SMALL)
    assert {one.host for one in fake.requests} == {"hub.invalid"}
    fetch()
    assert {one.host for one in fake.sent(weights(fake))} == {""}


@pytest.mark.parametrize(
    ("remote", "message", "fix"),
    [
        (Remote("makers/none"), "There is no model “makers/none” at 127.0.0.1", "Check the name"),
        (Remote(NAME, "v9"), "has no revision “v9”", "a branch, a tag or a commit"),
        (Remote(NAME, folder="npu"), "has no folder “npu”", "another model"),
    ],
)
def test_what_is_not_there_is_said_with_a_fix(
    fake: FakeHub, plan: Callable[..., hub.DownloadPlan], remote: Remote, message: str, fix: str
) -> None:
    with pytest.raises(PreparationError) as caught:
        plan(remote)
    assert message in caught.value.message
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("names", "message", "fix"),
    [
        (["config.json", *PICKLES], "as pickles only", "safetensors"),
        (["a.Q4_0.gguf", "a.Q8_0.gguf"], "as GGUF files", "one GGUF file and give its path"),
        (["adapter_model.safetensors"], "no weights that an engine here reads", "language model"),
        (["model.safetensors"], "it has no config.json", "a whole model"),
        ([], "holds no files", "another model"),
    ],
)
def test_a_repository_without_a_model_for_us_is_refused(
    names: list[str], message: str, fix: str
) -> None:
    with pytest.raises(HubError) as caught:
        choose(names, REMOTE, SMALL)
    explained = sentences.explain(diagnosis.report(caught.value), REMOTE)
    assert message in explained.message
    assert fix in explained.fix


def test_every_code_has_a_sentence_and_a_fix() -> None:
    for code in Code:
        explained = sentences.explain(diagnosis.report(HubError(code, "detail")), REMOTE)
        assert explained.message.endswith(".") and explained.fix.endswith(".")
        assert "{" not in str(explained)


def test_a_hub_that_cannot_be_asked_is_said_with_a_fix(
    fake: FakeHub, plan: Callable[..., hub.DownloadPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        with pytest.raises(PreparationError) as caught:
            plan()
        assert "Traceback" not in str(caught.value)
        assert caught.value.fix
        return caught.value.message

    for answer, message in {
        (503, b""): "reports an internal fault (503)",
        (200, b"<html>Log in</html>"): "not that of a Hugging Face hub",
        (200, b'{"id": "x", "sha": "../..", "siblings": []}'): "not that of a Hugging Face hub",
    }.items():
        fake.answers = answer
        assert message in told()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://user:pass@127.0.0.1:{closed.getsockname()[1]}")
        assert "cannot be reached" in (message := told())
        assert f"{NAME} is not in the cache" in message
        assert "pass" not in message
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    assert "HF_ENDPOINT cannot be used" in told()
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy")
    assert "setting of the network's proxy cannot be used" in told()


def test_too_small_a_disk_is_said_before_the_start(
    fake: FakeHub, fetch: Callable[..., Path]
) -> None:
    fake.announced_bytes = 10**17
    with pytest.raises(PreparationError, match="100000000.0 GB needed") as caught:
        fetch()
    assert "HF_HOME" in caught.value.fix
    assert not fake.sent(weights(fake))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_a_disk_that_fills_up_is_said(fake: FakeHub, fetch: Callable[..., Path]) -> None:
    fetch(what=SMALL)
    part_of(weights(fake)).symlink_to("/dev/full")
    with pytest.raises(PreparationError, match="disk is full") as caught:
        fetch()
    assert "HF_HOME" in caught.value.fix


def test_a_cache_without_links_is_filled_too(
    fake: FakeHub, fetch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")  # as on most Windows machines
    folder = fetch()
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert (folder / "model.safetensors").read_bytes() == weights(fake)
    assert not any((folder.parents[1] / "blobs").iterdir())
    fetch()
    assert len(fake.sent(weights(fake))) == 1


def test_an_id_is_told_from_a_path() -> None:
    assert parse_id("microsoft/Phi-3-mini-4k-instruct") == Remote(
        "microsoft/Phi-3-mini-4k-instruct"
    )
    assert parse_id(" gpt2@refs/pr/1 ") == Remote("gpt2", "refs/pr/1")
    for wrong in (
        *("", ".", "..", "./model", "/models/phi", "a/b/c", "~/phi", "C:\\models", "a\\b", "a b"),
        *("a/../b", "a/b@../c", "a/b@", "a@b@c", "-a/b", "a/b-", "a--b", "a/b\nc", "ä/b", "a/b:x"),
        *("phi.gguf", "models/phi.gguf", "a/model.safetensors", "x" * 97, "a/b@v//1", "a/b@v/"),
    ):
        assert parse_id(wrong) is None, wrong


def test_the_time_left_comes_from_the_last_seconds() -> None:
    progress = hub.DownloadProgress("Phi-3")
    gb = 10**9
    assert progress.at(0, 76 * gb // 10, 0).detail == "Phi-3, 0.0 of 7.6 GB"
    assert progress.at(gb // 10, 76 * gb // 10, 1).detail == "Phi-3, 0.1 of 7.6 GB"
    assert progress.at(gb, 76 * gb // 10, 10) == Stage(
        "fetch", 1 / 7.6, "Phi-3, 1.0 of 7.6 GB, 1 min left"
    )
    for second in range(11, 40):  # a slower line
        stage = progress.at(gb + 10**6 * (second - 10), 76 * gb // 10, second)
    assert stage.detail == "Phi-3, 1.0 of 7.6 GB, 1 h 50 min left"
    for second in range(40, 60):  # none at all
        stage = progress.at(gb + 29 * 10**6, 76 * gb // 10, second)
    assert stage.detail == "Phi-3, 1.0 of 7.6 GB"
    assert hub.DownloadProgress("S").at(41 * 10**6, 93 * 10**6, 0).detail == "S, 41 of 93 MB"
