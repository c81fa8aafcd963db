"""Which devices there are, which are found, and why not: on this machine and on stubs of others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground import devices
from playground.devices import Device, Discovery, Hardware, probing, sysfs, windows
from playground.devices.probing import DeviceQuery
from playground.devices.reasons import explain
from tests.support.machines import ACCELERATOR, AMD, INTEL, NVIDIA, StubLinux, StubRegistry, laptop

CPU = Device("CPU", "Intel(R) Core(TM) Ultra 7 155H")
ONLY_CPU = Discovery(openvino=(CPU,))


@pytest.fixture
def linux(tmp_path: Path) -> StubLinux:
    if sys.platform == "win32":
        pytest.skip("needs symbolic links, which take rights there")
    return StubLinux(tmp_path)


def reason(
    device: str,
    here: Sequence[Hardware] = (),
    found: Discovery = ONLY_CPU,
    torch: str | None = "CPU",
    platform: str = "linux",
) -> str:
    """Both sentences of another machine."""
    return " ".join(explain(device, found, here, torch, platform))


# --- this machine --------------------------------------------------------------------------


def test_the_engines_here_find_the_cpu_and_are_asked_once_for_all_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: devices.discover(), range(4)))
    assert all(answer is answers[0] for answer in answers)
    assert devices.discovered() is answers[0]
    cpu = answers[0].openvino[0]
    assert (cpu.name, bool(cpu.full_name), cpu.driver) == ("CPU", True, None)
    assert answers[0].errors == {}


def test_asking_brings_no_engine_into_this_process() -> None:
    code = "import sys; from playground import devices; devices.discover(); devices.why_not('CUDA')"
    code += "; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.check_output([sys.executable, "-c", code], encoding="utf-8").split()
    assert not {"torch", "openvino", "onnxruntime", "onnxruntime_genai", "numpy"} & set(loaded)


def test_the_build_of_torch_is_read_without_importing_it() -> None:
    assert devices.torch_build() in ("CPU", "CUDA", "ROCm", "XPU")


@pytest.mark.skipif(sys.platform != "win32", reason="reads the registry")
def test_this_windows_can_be_read() -> None:
    registry = windows.LocalRegistry()
    assert registry.values(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion")["currentbuild"]
    assert not registry.state(r"PCI\VEN_FFFF&DEV_FFFF\0")
    assert all(each.kind in ("GPU", "NPU") for each in windows.scan(registry))
    assert all(each.luid for each in windows.adapters(registry))


# --- children that go wrong ----------------------------------------------------------------

ANSWER = 'print(\'{"name": "GPU.0", "full_name": "Arc"}\', flush=True); '
DONE = "print('{\"done\": true}', flush=True); "


def child(code: str) -> DeviceQuery:
    """Only one that never ends is waited for with little patience."""
    patience_s = 1.0 if "sleep" in code else 60.0
    return DeviceQuery("OpenVINO's GPU plugin", [sys.executable, "-c", code], patience_s=patience_s)


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("import os; os.abort()", "failed ("),
        ("raise SystemExit(3)", "failed (exit code 3)"),
        ("print('Loading driver …')", "gave no answer that can be read"),
        ("print('[1, 2]')", "gave no answer that can be read"),
        ("import time; time.sleep(600)", "did not answer within 1 s"),
        ("import os; os.close(1); import time; time.sleep(600)", "did not answer within 1 s"),
    ],
)
def test_a_child_that_crashes_hangs_or_babbles_costs_its_own_answer(
    code: str, trouble: str
) -> None:
    bad = child(ANSWER + code) if "abort" in code else child(code)
    found = probing.look({"openvino:CPU": child(ANSWER + DONE), "openvino:GPU": bad})
    assert f"OpenVINO's GPU plugin {trouble}" in found.errors["openvino:GPU"]
    assert list(found.errors) == ["openvino:GPU"]
    assert found.openvino[0] == Device("GPU.0", "Arc"), "and what it told before is kept"


def test_noise_around_an_answer_does_no_harm() -> None:
    answer = probing.ask(child(f"print('{{hello'); {ANSWER}print('\\xff'); {DONE}"))
    assert answer.error is None and [each.name for each in answer.devices] == ["GPU.0"]


def test_a_python_that_is_not_there_is_told_in_a_sentence() -> None:
    answer = probing.ask(DeviceQuery("The NPU library", ["no such python"]))
    assert answer.error and answer.error.startswith("The NPU library cannot be asked: ")


def test_an_engine_s_prints_never_reach_the_answer(tmp_path: Path) -> None:
    noisy = "import os; print('hi'); os.write(1, b'native')\n"
    noisy += "class cuda: is_available = staticmethod(lambda: False)\nxpu = cuda"
    (tmp_path / "torch.py").write_text(noisy, encoding="utf-8")
    command = [sys.executable, "-P", str(probing.PROBE), "60", "torch"]
    answer = probing.ask(DeviceQuery("a stub of PyTorch", command, {"PYTHONPATH": str(tmp_path)}))
    assert answer.lines == ({"done": True},)


def test_the_npu_library_is_asked_without_its_heavy_imports(tmp_path: Path) -> None:
    stub = tmp_path / "intel_npu_acceleration_library"
    (stub / "backend").mkdir(parents=True)
    for folder in (stub, stub / "backend"):
        (folder / "__init__.py").write_text("raise MemoryError", encoding="utf-8")
    (stub / "backend/bindings.py").write_text("lib = False", encoding="utf-8")
    utils = "from .bindings import lib\ndef npu_available(): return lib"
    (stub / "backend/utils.py").write_text(utils, encoding="utf-8")
    command = [sys.executable, "-P", str(probing.PROBE), "60", "npu-library"]
    stubbed = DeviceQuery("a stub of the NPU library", command, {"PYTHONPATH": str(tmp_path)})
    assert probing.look({"npu-library": stubbed}).npu_library is False


# --- Linux ---------------------------------------------------------------------------------


def test_meteor_lake_without_a_driver_is_told_from_no_npu(linux: StubLinux) -> None:
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
    told = reason("NPU", (gpu, npu))
    assert "has an Intel NPU (Meteor Lake), but its driver is missing." in told
    assert "https://github.com/intel/linux-npu-driver" in told
    assert "finds no NPU" in reason("NPU", (gpu,))
    assert "compute runtime (OpenCL) is missing" in reason("GPU", (gpu, npu))


def test_an_npu_that_this_user_may_not_open_needs_the_group(linux: StubLinux) -> None:
    linux.plug_in("0000:00:0b.0", 0x120000, INTEL, 0x7D1D, "intel_vpu", "accel/accel0")
    (npu,) = sysfs.scan(linux.root, may_open=lambda node: False)
    assert (npu.problem, npu.node) == ("no-access", "/dev/accel/accel0")
    told = reason("NPU", (npu,))
    assert "you may not use /dev/accel/accel0" in told and "usermod -aG render" in told


def test_lunar_lake_with_xe_has_names_from_the_system_s_list(linux: StubLinux) -> None:
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
    assert "did not start it" in reason("NPU", (gpu, npu)), "its driver made no device file"


def test_amd_and_nvidia_are_named_where_intel_s_is_wanted(linux: StubLinux) -> None:
    linux.write("sys/module/nvidia/version", "550.54.14")
    linux.plug_in("0000:01:00.0", 0x030200, NVIDIA, 0x28E0, "nvidia", "drm/renderD129")
    linux.plug_in("0000:c1:00.0", 0x030000, AMD, 0x15BF, "amdgpu", "drm/renderD128")
    linux.plug_in("0000:c2:00.1", 0x118000, 0x1022, 0x1502, "amdxdna", "accel/accel0")
    here = sysfs.scan(linux.root, may_open=lambda node: True)
    assert [each.driver for each in here][0] == "nvidia, 550.54.14"
    assert "another: AMD NPU (Phoenix)." in reason("NPU", here)
    assert "another: NVIDIA GPU 10de:28e0 and AMD GPU 1002:15bf." in reason("GPU", here)
    assert "a build for the CPU, not CUDA" in reason("CUDA", here)
    assert "does not find NVIDIA GPU" in reason("CUDA", here, torch="CUDA")
    assert "needs a GPU of Intel" in reason("XPU", here)


# --- Windows -------------------------------------------------------------------------------


def test_a_laptop_s_gpus_and_npu_are_read_from_the_registry() -> None:
    found = {each.name: each for each in windows.scan(laptop())}
    assert list(found) == [
        "Intel(R) Arc(TM) Graphics",
        "NVIDIA GeForce RTX 4060 Laptop GPU",
        "Intel(R) AI Boost",
    ]
    npu = found["Intel(R) AI Boost"]
    assert (npu.kind, npu.vendor, npu.driver, npu.problem) == ("NPU", "Intel", "32.0.100.4239", "")
    told = reason("NPU", list(found.values()), platform="win32")
    assert "driver (32.0.100.4239) may be too old" in told and "794734" in told


def test_directml_gets_the_real_gpus_that_with_most_memory_first() -> None:
    nvidia, intel = windows.adapters(laptop())
    assert nvidia == Device(
        "DML.0",
        "NVIDIA GeForce RTX 4060 Laptop GPU",
        "32.0.101.6874",
        "1:62369",
        own_memory_mb=pytest.approx(8590, abs=1),
    )
    assert (intel.name, intel.luid) == ("DML.1", "0:58058")


def test_an_adapter_without_a_device_counts_while_it_is_still_seen() -> None:
    registry = StubRegistry()
    registry.adapter("{1}", "Old", AMD, 5, lastseen=899)
    registry.adapter("{2}", "New", AMD, 6)
    registry.adapter("{3}", "NPU", AMD, 7, maxd3d12featurelevel=0x1000)
    assert [each.full_name for each in windows.adapters(registry)] == ["New"]


@pytest.mark.parametrize(
    ("driver", "state", "told"),
    [
        (None, 28, "an Intel NPU (Meteor Lake), but its driver is missing"),
        (("Intel(R) AI Boost", "1.2", "Intel Corporation"), 22, "Enable it in Device Manager."),
        (("Intel(R) AI Boost", "1.2", "Intel Corporation"), 43, "driver (1.2) did not start it"),
        (("Intel(R) AI Boost", "1.2", "Intel Corporation"), None, "finds no NPU on this machine"),
    ],
)
def test_what_device_manager_says_of_an_npu_becomes_the_reason(
    driver: tuple[str, str, str] | None, state: int | None, told: str
) -> None:
    registry = StubRegistry()
    registry.plug_in(INTEL, 0x7D1D, "1200", driver, setup_class=ACCELERATOR, state=state)
    assert told in reason("NPU", windows.scan(registry), platform="win32")


def test_a_gpu_on_microsoft_s_stand_in_lacks_its_driver() -> None:
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


# --- reasons -------------------------------------------------------------------------------


def test_each_kind_of_device_has_its_reason() -> None:
    assert "DirectML needs Windows." in reason("DML")
    assert "build without DirectML" in reason(
        "DML", found=Discovery(dml_package=False), platform="win32"
    )
    assert "no GPU that DirectML can use" in reason("DML", platform="win32")
    assert "Core Ultra" in reason("NPU") and "The NPU library finds no NPU" in reason("NPU-LIBRARY")
    failed = Discovery(errors={"openvino:CPU": "OpenVINO's CPU plugin failed (exit code 1)."})
    assert "CPU plugin failed (exit code 1). Delete" in reason("CPU", found=failed)


def test_a_number_too_high_is_told_the_others() -> None:
    two = Discovery(openvino=(CPU, Device("GPU.0", "Arc"), Device("GPU.1", "Arc A770")))
    assert reason("GPU.2", found=two) == (
        "There is no GPU.2 on this machine. Choose GPU.0 or GPU.1."
    )
