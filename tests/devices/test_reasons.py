"""Reasons for each kind of device."""

from __future__ import annotations

from playground.devices import Device, Discovery
from tests.support.reasons import CPU, reason


def test_each_kind_of_device_has_its_reason() -> None:
    assert "DirectML needs Windows." in reason("DML")
    assert "build without DirectML" in reason(
        "DML", discovery=Discovery(dml_package=False), platform="win32"
    )
    assert "no GPU that DirectML can use" in reason("DML", platform="win32")
    assert "Core Ultra" in reason("NPU") and "The NPU library finds no NPU" in reason("NPU-LIBRARY")
    failed = Discovery(errors={"openvino:CPU": "OpenVINO's CPU plugin failed (exit code 1)."})
    assert "CPU plugin failed (exit code 1). Delete" in reason("CPU", discovery=failed)


def test_a_number_that_is_too_high_gets_the_others_listed() -> None:
    two = Discovery(openvino=(CPU, Device("GPU.0", "Arc"), Device("GPU.1", "Arc A770")))
    assert reason("GPU.2", discovery=two) == (
        "There is no GPU.2 on this machine. Choose GPU.0 or GPU.1."
    )
