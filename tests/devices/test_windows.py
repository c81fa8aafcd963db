"""GPUs and NPUs in the registry, on a stub of a laptop and on this machine's Windows."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.devices import Device, windows
from tests.support.machines import ACCELERATOR, AMD, INTEL, StubRegistry, laptop
from tests.support.reasons import reason


def test_a_laptop_s_gpus_and_npu_are_read_from_the_registry() -> None:
    hardware = {device.name: device for device in windows.scan(laptop())}
    assert list(hardware) == [
        "Intel(R) Arc(TM) Graphics",
        "NVIDIA GeForce RTX 4060 Laptop GPU",
        "Intel(R) AI Boost",
    ]
    npu = hardware["Intel(R) AI Boost"]
    assert (npu.kind, npu.vendor, npu.driver, npu.problem) == ("NPU", "Intel", "32.0.100.4239", "")
    sentences = reason("NPU", list(hardware.values()), platform="win32")
    assert "driver (32.0.100.4239) may be too old" in sentences and "794734" in sentences


def test_directml_gets_the_real_gpus_by_memory() -> None:
    nvidia, intel = windows.adapters(laptop())
    memory_mb = (8 << 30) / 1e6
    assert nvidia == Device(
        "DML.0",
        "NVIDIA GeForce RTX 4060 Laptop GPU",
        "32.0.101.6874",
        "1:62369",
        own_memory_mb=memory_mb,
    )
    assert (intel.name, intel.luid) == ("DML.1", "0:58058")


def test_an_adapter_without_a_device_counts_while_its_entry_is_updated() -> None:
    registry = StubRegistry()
    registry.adapter("{1}", "Old", AMD, 5, lastseen=899)
    registry.adapter("{2}", "New", AMD, 6)
    registry.adapter("{3}", "NPU", AMD, 7, maxd3d12featurelevel=0x1000)
    assert [device.full_name for device in windows.adapters(registry)] == ["New"]


@pytest.mark.parametrize(
    ("driver", "state", "sentence"),
    [
        (None, 28, "an Intel NPU (Meteor Lake), but its driver is missing"),
        (("Intel(R) AI Boost", "1.2", "Intel Corporation"), 22, "Enable it in Device Manager."),
        (("Intel(R) AI Boost", "1.2", "Intel Corporation"), 43, "driver (1.2) did not start it"),
        (("Intel(R) AI Boost", "1.2", "Intel Corporation"), None, "finds no NPU on this machine"),
    ],
)
def test_the_problem_code_of_an_npu_becomes_the_reason(
    driver: tuple[str, str, str] | None, state: int | None, sentence: str
) -> None:
    registry = StubRegistry()
    registry.plug_in(INTEL, 0x7D1D, "1200", driver, setup_class=ACCELERATOR, state=state)
    assert sentence in reason("NPU", windows.scan(registry), platform="win32")


def test_a_gpu_with_microsoft_s_basic_driver_lacks_its_own() -> None:
    registry = StubRegistry()
    basic = ("Microsoft Basic Display Adapter", "10.0.26100.1", "Microsoft")
    registry.plug_in(INTEL, 0x7D55, "0300", basic)
    (gpu,) = windows.scan(registry)
    assert (gpu.name, gpu.problem) == ("Intel GPU 8086:7d55", "no-driver")


def test_an_empty_registry_has_nothing() -> None:
    assert windows.scan(StubRegistry()) == () == windows.adapters(StubRegistry())


@given(st.integers(0, 2**64 - 1))
def test_a_luid_is_written_as_two_decimal_halves(number: int) -> None:
    high, low = map(int, windows.luid(number).split(":"))
    assert -(2**31) <= high < 2**31 and 0 <= low < 2**32
    assert (high << 32 | low) % 2**64 == number


@pytest.mark.skipif(sys.platform != "win32", reason="reads the registry")
def test_this_windows_can_be_read() -> None:
    registry = windows.Registry()
    assert registry.values(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion")["currentbuild"]
    assert not registry.state(r"PCI\VEN_FFFF&DEV_FFFF\0")
    assert all(device.kind in ("GPU", "NPU") for device in windows.scan(registry))
    assert all(adapter.luid for adapter in windows.adapters(registry))
