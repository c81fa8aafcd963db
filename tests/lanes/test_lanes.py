"""Which lanes there are and what is said of each: on this machine, and on recorded ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from playground import devices
from playground.devices import Device, Discovery, Hardware, reasons
from playground.errors import BadInput
from playground.lanes.lane import (
    Lane,
    LaneStatus,
    default_lanes,
    every_lane,
    parse,
    parse_all,
    status,
    table,
)
from playground.models import DEFAULT_MODEL

TABLE = {  # of every engine, device kind and precision; devices that may have a number without it
    "npu-library": {"NPU": {"int4", "int8", "fp16"}, "CPU": {"fp16"}},
    "openvino-genai": {
        "CPU": {"int8", "int4", "fp16"},
        "GPU": {"int8", "int4", "fp16"},
        "NPU": {"int4"},
        "NPU-on-CPU": {"int4"},
    },
    "openvino-optimum": {"CPU": {"int8", "int4", "fp16"}, "GPU": {"int8", "int4", "fp16"}},
    "onnx-genai": {"CPU": {"int4", "int8"}, "DML": {"int4"}},
    "pytorch": {"CPU": {"fp32"}, "CUDA": {"fp16", "bf16"}, "XPU": {"fp16", "bf16"}},
    "fake": {"CPU": {"30tps"}},
}
CPU = Device("CPU", "Intel(R) Core(TM) Ultra 7 258V")
GPUS = (
    Device("GPU.0", "Intel(R) Arc(TM) 140V GPU (iGPU)"),
    Device("GPU.1", "Intel(R) Arc(TM) B580"),
)
NPU = Device("NPU", "Intel(R) AI Boost", driver="32.0.100.4239")
AI_PC = Discovery(
    openvino=(CPU, *GPUS, NPU),
    dml=(Device("DML.0", "Intel(R) Arc(TM) B580"), Device("DML.1", "Intel(R) Arc(TM) 140V GPU")),
    npu_library=True,
    dml_package=True,
)
LINUX = Discovery(openvino=(CPU, *GPUS))
BARE_NPU = Hardware("NPU", "Intel", "Intel NPU (Meteor Lake)", "8086:7d1d", None, "no-driver")
Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> Machine:
    """`machine(found, hardware, platform)` is the machine that the lanes are listed on."""

    def pretend(discovery: Discovery, *hardware: Hardware, platform: str = "linux") -> None:
        def why_not(device: str) -> tuple[str, str]:
            return reasons.explain(device, discovery, hardware, "CPU", platform)

        monkeypatch.setattr(devices, "discover", lambda: discovery)
        monkeypatch.setattr(devices, "why_not", why_not)
        monkeypatch.setattr(
            "playground.workers.npu_environment.ready", lambda: discovery.npu_library is not None
        )

    return pretend


def status_of(name: str) -> LaneStatus:
    return status(parse(name), DEFAULT_MODEL)


def defaults() -> list[str]:
    return [lane.name for lane in default_lanes()]


def test_every_lane_is_listed_with_what_this_machine_can_do(empty_home: Path) -> None:
    rows = table(DEFAULT_MODEL)
    listed: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        kind = row["device"].partition(".")[0]
        listed.setdefault(row["backend"], {}).setdefault(kind, set()).add(row["precision"])
    assert listed == TABLE
    discovery = devices.discover()
    here = {device.name for device in (*discovery.openvino, *discovery.dml, *discovery.torch)}
    for row in rows:
        kind = row["device"].partition(".")[0]
        if kind in ("GPU", "DML", "CUDA", "XPU", "NPU") and kind not in {
            name.partition(".")[0] for name in here
        }:
            assert row["status"] == "unavailable", row
        elif kind in ("CPU", "NPU-on-CPU") and row["backend"] not in ("fake", "npu-library"):
            assert row["status"] == "needs-model", row  # the data folder is empty
        assert (row["reason"] and row["fix"]) or row["status"] == "ready", row


def test_a_windows_ai_pc_runs_every_engine_on_its_best_device(machine: Machine) -> None:
    machine(AI_PC, platform="win32")
    assert defaults() == [
        "npu-library:NPU:int4",
        "openvino-genai:NPU:int4",
        "openvino-optimum:GPU.0:int4",
        "onnx-genai:DML:int4",
        "pytorch:CPU:fp32",
    ]
    names = {lane.name for lane in every_lane()}
    assert {"openvino-genai:GPU.1:fp16", "onnx-genai:DML.1:int4"} <= names
    statuses = {lane.name: status(lane, DEFAULT_MODEL) for lane in every_lane()}
    assert {name for name, status in statuses.items() if status.status == "unavailable"} == {
        "npu-library:CPU:fp16",  # it would take the NPU
        *(f"pytorch:{kind}:{dtype}" for kind in ("CUDA", "XPU") for dtype in ("fp16", "bf16")),
    }


def test_two_gpus_on_linux_are_lanes_of_their_own_and_directml_needs_windows(
    machine: Machine,
) -> None:
    machine(LINUX)
    assert defaults() == [
        "openvino-genai:GPU.0:int4",
        "openvino-optimum:GPU.0:int4",
        "onnx-genai:CPU:int4",
        "pytorch:CPU:fp32",
    ]
    assert status_of("openvino-optimum:GPU.1:fp16").status == "needs-model"
    assert status_of("openvino-genai:GPU.2").status == "unavailable"
    assert "GPU.0 or GPU.1" in status_of("openvino-genai:GPU.2").fix
    dml = status_of("onnx-genai:DML")
    assert (dml.status, dml.reason) == ("unavailable", "DirectML needs Windows.")


def test_an_npu_without_its_driver_is_named_with_the_driver_s_address(machine: Machine) -> None:
    machine(Discovery(openvino=(CPU,)), BARE_NPU, platform="win32")
    assert "openvino-genai:CPU:int8" in defaults() and len(defaults()) == 4
    for name in ("openvino-genai:NPU", "npu-library:NPU:int8"):
        lane_status = status_of(name)
        assert lane_status.status == "unavailable"
        assert (
            lane_status.reason
            == "This machine has an Intel NPU (Meteor Lake), but its driver is missing."
        )
        assert "https://www.intel.com/" in lane_status.fix
    assert status_of("npu-library:CPU:fp16").status == "not-installed"
    assert "run.py setup npu" in status_of("npu-library:CPU:fp16").fix


def test_the_npu_library_is_told_apart_by_what_it_finds_itself(machine: Machine) -> None:
    machine(Discovery(openvino=(CPU, NPU)))
    assert status_of("npu-library:NPU:int4").status == "not-installed"
    machine(Discovery(openvino=(CPU, NPU), npu_library=False))
    older = status_of("npu-library:NPU:int4")
    assert (older.status, "older" in older.reason) == ("unavailable", True)
    assert "openvino-genai:NPU" in older.fix
    assert status_of("npu-library:CPU:fp16").status == "needs-model"


def test_a_missing_device_outranks_a_missing_package(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("openvino_genai", "onnxruntime_genai", "torch"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    machine(Discovery())
    for name in ("openvino-genai:NPU", "openvino-genai:GPU", "onnx-genai:DML", "pytorch:XPU"):
        assert status_of(name).status == "unavailable"
    missing = status_of("openvino-genai:CPU")
    assert (missing.status, missing.reason) == (
        "not-installed",
        "The package openvino-genai is not installed.",
    )
    assert defaults() == ["openvino-optimum:CPU:int8"]


def test_without_any_engine_the_fake_lane_is_shown(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("openvino_genai", "onnxruntime_genai", "torch", "optimum.intel"):
        monkeypatch.setitem(sys.modules, module, None)
    machine(Discovery())
    assert defaults() == ["fake:CPU:30tps"]


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("openvino-genai", "openvino-genai:CPU:int8"),
        ("openvino-genai:GPU", "openvino-genai:GPU.0:int4"),
        (" openvino-optimum:GPU.1:fp16 ", "openvino-optimum:GPU.1:fp16"),
        ("openvino-genai:NPU-on-CPU", "openvino-genai:NPU-on-CPU:int4"),
        ("onnx-genai:DML.0:int4", "onnx-genai:DML:int4"),
        ("onnx-genai:DML.1", "onnx-genai:DML.1:int4"),
        ("pytorch:CUDA.0", "pytorch:CUDA:fp16"),
        ("npu-library", "npu-library:NPU:int4"),
        ("fake:CPU:250tps", "fake:CPU:250tps"),
    ],
)
def test_a_short_name_is_that_of_a_lane(name: str, whole: str) -> None:
    assert parse(name).name == whole


@pytest.mark.parametrize(
    "name",
    [
        "",
        "llama.cpp",
        "openvino-genai:AUTO",
        "openvino-genai:gpu",
        "openvino-genai:GPU.",
        "openvino-genai:GPU.01",
        "openvino-genai:GPU.x:int4",
        "openvino-genai:CPU.0",
        "openvino-genai:NPU.1",
        "openvino-genai:NPU:int8",
        "openvino-genai:CPU:int3",
        "openvino-genai:CPU:int8:",
        "onnx-genai:DML.-1",
        "onnx-genai:GPU",
        "npu-library:CPU:int4",
        "fake:CPU:0tps",
    ],
)
def test_nonsense_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(BadInput, match="There is no lane") as caught:
        parse(name)
    assert "openvino-genai:NPU:int4" in caught.value.fix


def test_a_lane_named_twice_is_one() -> None:
    named = parse_all(["openvino-genai:GPU", "fake", "openvino-genai:GPU.0:int4"])
    assert named == [Lane("openvino-genai", "GPU.0", "int4"), Lane("fake", "CPU", "30tps")]
