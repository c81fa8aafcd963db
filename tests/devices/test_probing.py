"""What the engines find on this machine, and probes that go wrong."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from playground import devices
from playground.devices import Device, probing
from playground.devices.probing import DeviceQuery


def test_the_engines_find_the_cpu_and_are_asked_once_for_all_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: devices.discover(), range(4)))
    assert all(answer is answers[0] for answer in answers)
    assert devices.discovered() is answers[0]
    cpu = answers[0].openvino[0]
    assert (cpu.name, bool(cpu.full_name), cpu.driver) == ("CPU", True, None)
    assert answers[0].errors == {}


def test_discovery_loads_no_engine_into_this_process() -> None:
    code = "import sys; from playground import devices; devices.discover(); devices.why_not('CUDA')"
    code += "; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.check_output([sys.executable, "-c", code], encoding="utf-8").split()
    assert not {"torch", "openvino", "onnxruntime", "onnxruntime_genai", "numpy"} & set(loaded)


def test_the_build_of_torch_is_read_without_importing_it() -> None:
    assert devices.torch_build() in ("CPU", "CUDA", "ROCm", "XPU")


# --- probes that go wrong ----------------------------------------------------------------

ANSWER = 'print(\'{"name": "GPU.0", "full_name": "Arc"}\', flush=True); '
DONE = "print('{\"done\": true}', flush=True); "


def child(code: str) -> DeviceQuery:
    """A probe that runs the code; with a short time limit if the code never ends."""
    patience_s = 1.0 if "sleep" in code else 60.0
    return DeviceQuery("OpenVINO's GPU plugin", [sys.executable, "-c", code], patience_s=patience_s)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os; os.abort()", "failed ("),
        ("raise SystemExit(3)", "failed (exit code 3)"),
        ("print('Loading driver …')", "gave no readable answer"),
        ("print('[1, 2]')", "gave no readable answer"),
        ("import time; time.sleep(600)", "did not answer within 1 s"),
        ("import os; os.close(1); import time; time.sleep(600)", "did not answer within 1 s"),
    ],
)
def test_a_child_that_crashes_hangs_or_prints_noise_costs_only_its_own_answer(
    code: str, problem: str
) -> None:
    bad = child(ANSWER + code) if "abort" in code else child(code)
    discovery = probing.look({"openvino:CPU": child(ANSWER + DONE), "openvino:GPU": bad})
    assert f"OpenVINO's GPU plugin {problem}" in discovery.errors["openvino:GPU"]
    assert list(discovery.errors) == ["openvino:GPU"]
    assert discovery.openvino[0] == Device("GPU.0", "Arc"), "its answer before that is kept"


def test_noise_around_an_answer_does_no_harm() -> None:
    answer = probing.ask(child(f"print('{{hello'); {ANSWER}print('\\xff'); {DONE}"))
    assert answer.error is None and [device.name for device in answer.devices] == ["GPU.0"]


def test_a_missing_python_is_reported_in_a_sentence() -> None:
    answer = probing.ask(DeviceQuery("The NPU library", ["no such python"]))
    assert answer.error and answer.error.startswith("The NPU library cannot be asked: ")


def test_an_engine_s_output_never_reaches_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    noisy = "import os; print('hi'); os.write(1, b'native')\n"
    noisy += "class cuda: is_available = staticmethod(lambda: False)\nxpu = cuda"
    (tmp_path / "torch.py").write_text(noisy, encoding="utf-8")
    command = [sys.executable, "-P", str(probing.PROBE), "60", "torch"]
    answer = probing.ask(DeviceQuery("a stub of PyTorch", command))
    assert answer.lines == ({"done": True},)


def test_the_npu_library_is_asked_without_its_heavy_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stub = tmp_path / "intel_npu_acceleration_library"
    (stub / "backend").mkdir(parents=True)
    for folder in (stub, stub / "backend"):
        (folder / "__init__.py").write_text("raise MemoryError", encoding="utf-8")
    (stub / "backend/bindings.py").write_text("lib = False", encoding="utf-8")
    utils = "from .bindings import lib\ndef npu_available(): return lib"
    (stub / "backend/utils.py").write_text(utils, encoding="utf-8")
    command = [sys.executable, "-P", str(probing.PROBE), "60", "npu-library"]
    stubbed = DeviceQuery("a stub of the NPU library", command)
    assert probing.look({"npu-library": stubbed}).npu_library is False
