"""GPUs and NPUs that sysfs lists, on stubs of Linux machines, and the reasons that follow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from playground.devices import Hardware, sysfs
from tests.support.machines import AMD, INTEL, NVIDIA, StubLinux
from tests.support.reasons import reason


@pytest.fixture
def linux(tmp_path: Path) -> StubLinux:
    if sys.platform == "win32":
        pytest.skip("needs symbolic links, which need privileges there")
    return StubLinux(tmp_path)


def test_an_npu_without_a_driver_differs_from_no_npu(linux: StubLinux) -> None:
    linux.plug_in("0000:00:02.0", 0x030000, INTEL, 0x7D55, "i915", "drm/renderD128")
    linux.plug_in("0000:00:0b.0", 0x120000, INTEL, 0x7D1D)
    linux.plug_in("0000:00:1f.0", 0x060100, INTEL, 0x7E02, "lpc")
    gpu, npu = sysfs.scan(linux.root, may_open=lambda node: True)
    assert gpu == Hardware(
        kind="GPU",
        vendor="Intel",
        name="Intel GPU 8086:7d55",
        pci_id="8086:7d55",
        driver="i915, Linux 6.11.0-29-generic",
        node="/dev/dri/renderD128",
        address="0000:00:02.0",
    )
    assert (npu.name, npu.problem, npu.driver) == ("Intel NPU (Meteor Lake)", "no-driver", None)
    sentences = reason("NPU", (gpu, npu))
    assert "has an Intel NPU (Meteor Lake), but its driver is missing." in sentences
    assert "https://github.com/intel/linux-npu-driver" in sentences
    assert "finds no NPU" in reason("NPU", (gpu,))
    assert "compute runtime (OpenCL) is missing" in reason("GPU", (gpu, npu))


def test_an_npu_without_permission_needs_the_group(linux: StubLinux) -> None:
    linux.plug_in("0000:00:0b.0", 0x120000, INTEL, 0x7D1D, "intel_vpu", "accel/accel0")
    (npu,) = sysfs.scan(linux.root, may_open=lambda node: False)
    assert (npu.problem, npu.node) == ("no-access", "/dev/accel/accel0")
    sentences = reason("NPU", (npu,))
    assert "you have no permission to use /dev/accel/accel0" in sentences
    assert "usermod -aG render" in sentences


def test_names_come_from_the_system_s_list(linux: StubLinux) -> None:
    linux.write(
        "usr/share/misc/pci.ids",
        "# comment\n1002  AMD\n\t64a0  Another\n8086  Intel Corporation\n"
        "\t643e  Lunar Lake NPU\n\t64a0  Lunar Lake [Intel Arc Graphics 140V]\n\t\t64a0 1  Sub",
    )
    linux.plug_in("0000:00:02.0", 0x030000, INTEL, 0x64A0, "xe", "drm/renderD128")
    linux.plug_in("0000:00:0b.0", 0x120000, INTEL, 0x643E, "intel_vpu")
    gpu, npu = sysfs.scan(linux.root, may_open=lambda node: True)
    assert gpu.name == "Intel Lunar Lake [Intel Arc Graphics 140V]" and gpu.problem == ""
    assert npu.name == "Intel Lunar Lake NPU"
    assert "did not start it" in reason("NPU", (gpu, npu)), "its driver created no device file"


def test_devices_of_amd_and_nvidia_are_named_where_intel_s_are_needed(linux: StubLinux) -> None:
    linux.write("sys/module/nvidia/version", "550.54.14")
    linux.plug_in("0000:01:00.0", 0x030200, NVIDIA, 0x28E0, "nvidia", "drm/renderD129")
    linux.plug_in("0000:c1:00.0", 0x030000, AMD, 0x15BF, "amdgpu", "drm/renderD128")
    linux.plug_in("0000:c2:00.1", 0x118000, 0x1022, 0x1502, "amdxdna", "accel/accel0")
    hardware = sysfs.scan(linux.root, may_open=lambda node: True)
    assert hardware[0].driver == "nvidia, 550.54.14"
    assert "another: AMD NPU (Phoenix)." in reason("NPU", hardware)
    assert "another: NVIDIA GPU 10de:28e0 and AMD GPU 1002:15bf." in reason("GPU", hardware)
    assert "a build for CPU, not for CUDA" in reason("CUDA", hardware)
    assert "does not find NVIDIA GPU" in reason("CUDA", hardware, torch="CUDA")
    assert "needs an Intel GPU" in reason("XPU", hardware)
