"""What backends refuse and how their streams end: each of its own, beside the contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from backends import ENGINES
from backends.base import BackendError, Options
from backends.pytorch import torch_device
from backends.shared import Emit, stream
from tests.support.backend_parts import CAPACITY, engine_threads, new

Prepared = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("engine", "device"),
    [
        ("openvino-genai", "GPU.7"),
        ("openvino-genai", "AUTO"),
        ("openvino-optimum", "GPU.7"),
        ("openvino-optimum", "AUTO:CPU"),
        ("onnx-genai", "NPU"),
        ("pytorch", "NPU"),
        ("pytorch", "CUDA.7"),
        ("fake", "NPU"),
    ],
)
def test_a_device_that_is_not_there_is_named_with_a_fix(
    engine: str, device: str, tmp_path: Path
) -> None:
    with pytest.raises(BackendError, match=device) as caught:
        new(engine).load(tmp_path, device, ENGINES[engine].devices["CPU"].precisions[0], CAPACITY)
    assert "CPU" in caught.value.fix


def test_too_little_memory_is_told_apart(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Exception from src/core: std::bad_alloc")

    monkeypatch.setattr("openvino_genai.LLMPipeline", fail)
    with pytest.raises(BackendError, match="not enough memory"):
        new("openvino-genai").load(prepared("openvino", "int8"), "CPU", "int8", CAPACITY)


def test_a_prompt_that_fills_the_models_room_is_refused_by_onnx(prepared: Prepared) -> None:
    backend = new("onnx-genai")
    backend.load(prepared("onnx", "int4"), "CPU", "int4", CAPACITY)
    with pytest.raises(BackendError, match="8192"):
        list(backend.generate([5] * 8192, Options(max_new_tokens=1)))


def test_a_stream_gives_what_came_before_an_error_and_then_the_error() -> None:
    def work(emit: Emit) -> None:
        emit(1)
        raise OSError("broken")

    ids = stream(work)
    assert next(ids) == 1
    with pytest.raises(OSError, match="broken"):
        next(ids)
    assert engine_threads() == []


def test_importing_every_backend_imports_no_sdk() -> None:
    modules = [engine.target.split(":")[0] for engine in ENGINES.values()]
    sdks = {engine.module.split(".")[0] for engine in ENGINES.values() if engine.module}
    code = f"import sys, {', '.join(modules)}; print(*({sdks} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == ""


def stub_torch(gpus: int) -> SimpleNamespace:
    """A build of PyTorch for CUDA on a machine with so many GPUs."""
    import torch

    cuda = SimpleNamespace(is_available=lambda: gpus > 0, device_count=lambda: gpus)
    return SimpleNamespace(__version__="2.13.0+cu130", device=torch.device, cuda=cuda)


def test_pytorch_takes_the_gpu_that_was_asked_for_and_no_other() -> None:
    assert str(torch_device(stub_torch(2), "CUDA", "fp16")) == "cuda:0"
    assert str(torch_device(stub_torch(2), "CUDA.1", "bf16")) == "cuda:1"
    for device, gpus in (("CUDA.2", 2), ("CUDA", 0), ("XPU", 1)):
        with pytest.raises(BackendError, match=f"finds no device {device}") as caught:
            torch_device(stub_torch(gpus), device, "fp16")
        assert "pytorch:CPU:fp32" in caught.value.fix
    with pytest.raises(BackendError, match="does not run on CPU at fp16"):
        torch_device(stub_torch(1), "CPU", "fp16")
