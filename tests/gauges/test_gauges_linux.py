"""The gauges of GPUs and NPUs on Linux, read from stubs of machines with recorded files."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pynvml
import pytest

from playground.gauges import linux
from playground.gauges.linux import drm as fdinfo
from playground.gauges.linux.intel_gpu import IntelGpu
from playground.gauges.readings import Gauge, Moment
from tests.support.gauge_trees import (
    APU,
    CARD,
    IGPU,
    NPU,
    XDNA,
    StubMachine,
    StubNvml,
    after,
    amd_laptop,
    lunar_lake,
    meteor_lake,
    with_nvidia,
)
from tests.support.machines import NVIDIA

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs symbolic links, which take rights there"
)
RENDER, CARD_NODE, ACCEL = "/dev/dri/renderD128", "/dev/dri/renderD129", "/dev/accel/accel0"


def first_gpu(machine: StubMachine, nvml: Any = None) -> Any:
    return linux.gpu_probes(machine.hardware, machine.root, nvml)[0]


def only(probe: Any, moment: Moment) -> Gauge:
    (gauge,) = probe.read(moment)
    assert isinstance(gauge, Gauge)
    assert (gauge.percent is None) == bool(gauge.reason), "unknown has a reason, known has none"
    return gauge


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file that this user may not read; modes do not stop root."""
    real = Path.read_text

    def read_text(path: Path, *args: Any, **options: Any) -> str:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", read_text)


# --- NPUs ----------------------------------------------------------------------------------


def test_an_intel_npu_s_busy_time_becomes_percent(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    (probe,) = linux.npu_probes(machine.hardware, tmp_path)
    assert probe.name == "Intel NPU (Meteor Lake)"
    assert only(probe, after(10)).reason == "measuring"
    machine.at(NPU, npu_busy_time_us=7_930_000, npu_current_frequency_mhz=1400)
    machine.at(NPU, npu_memory_utilization=2_000_000_000)
    gauge = only(probe, after(11))
    assert gauge.percent == pytest.approx(93)
    assert (gauge.mhz, gauge.memory_mb, gauge.key) == (1400, 2000, NPU)
    machine.at(NPU, npu_busy_time_us=9_000_000)
    assert only(probe, after(12)).percent == 100, "clocks that do not tick together"
    machine.at(NPU, npu_busy_time_us=0)
    assert only(probe, after(13)).percent is None, "a driver that was loaded anew"
    machine.at(NPU, npu_busy_time_us=500_000)
    assert only(probe, after(14)).percent == pytest.approx(50)


def test_a_vanishing_npu_raises_and_a_forbidden_one_says_how_to_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = meteor_lake(tmp_path)
    (probe,) = linux.npu_probes(machine.hardware, tmp_path)
    with monkeypatch.context() as patch:
        refuse(patch, "npu_busy_time_us")
        assert "sudo chmod a+r /" in only(probe, after(1)).reason
    shutil.rmtree(tmp_path / f"sys/bus/pci/devices/{NPU}")
    with pytest.raises(FileNotFoundError):
        probe.read(after(2))


def test_npus_that_tell_no_load_say_why(tmp_path: Path) -> None:
    machine = StubMachine(tmp_path)
    assert linux.npu_probes(machine.hardware, tmp_path) == []
    machine.plug_in(NPU, 0x120000, 0x8086, 0x643E)
    machine.plug_in("0000:00:0c.0", 0x120000, 0x8086, 0x7D1D, "intel_vpu", "accel/accel0")
    missing, old = linux.npu_probes(machine.hardware, tmp_path)
    assert "driver is missing. Install that of Intel" in only(missing, after(1)).reason
    assert "Linux 6.11 and newer do" in only(old, after(1)).reason


def test_an_amd_npu_is_read_where_its_driver_counts(tmp_path: Path) -> None:
    machine = amd_laptop(tmp_path)
    (probe,) = linux.npu_probes(machine.hardware, tmp_path)
    assert "no lane uses this NPU" in only(probe, after(1, npu={50})).reason
    machine.uses(50, 4, ACCEL, 1, XDNA, "drm-total-memory:\t8 KiB")
    assert "github.com/amd/xdna-driver" in only(probe, after(2, npu={50})).reason
    for second, ns in ((3, 0), (4, 820_000_000)):
        machine.uses(50, 4, ACCEL, 1, XDNA, f"drm-engine-amdxdna_accel_driver:\t{ns} ns")
        gauge = only(probe, after(second, npu={50}))
    assert gauge.percent == pytest.approx(82) and gauge.per_lane == {"npu": pytest.approx(82)}


# --- Intel's GPUs --------------------------------------------------------------------------


def i915(render_ns: int, video_ns: int = 0) -> tuple[str, ...]:
    return (
        f"drm-engine-render:\t{render_ns} ns",
        f"drm-engine-video:\t{video_ns} ns",
        "drm-engine-capacity-video:\t2",
        "drm-resident-system0:\t1000 MiB",
        "drm-resident-stolen-system0:\t0",
    )


def test_without_our_workers_an_intel_gpu_has_a_proxy_that_says_so(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    assert only(probe, after(1)).reason == "measuring"
    machine.at(IGPU, drm__card0__gt__gt0__rc6_residency_ms=5300)
    machine.at(IGPU, drm__card0__gt__gt1__rc6_residency_ms=6000)
    machine.at(IGPU, drm__card0__gt__gt0__rps_act_freq_mhz=2250)
    machine.opens(300, 0, "socket:[1]")
    gauge = only(probe, after(2, ended={1}, elsewhere={300}))
    assert gauge.percent == pytest.approx(70), "the busiest gt"
    assert gauge.per_lane == {"elsewhere": 0}, "a lane that should be here is not"
    assert gauge.proxy and gauge.source.startswith("proxy") and "rc6" in gauge.source
    assert (gauge.mhz, gauge.key) == (2250, IGPU)


def test_two_lanes_on_i915_are_told_apart_and_count_each_client_once(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    lanes = {"int4": {100, 101}, "int8": {200}, "cpu": {300}}
    machine.opens(100, 0, "/dev/null")
    machine.opens(300, 0, "socket:[1]")
    for second, int4, child, int8 in ((1, 0, 10**9, 5), (2, 300_000_000, 1_100_000_000, 5)):
        for fd in (5, 6, 7):  # three file descriptors of one opening
            machine.uses(100, fd, RENDER, 11, IGPU, *i915(int4, video_ns=int4))
        machine.uses(101, 5, RENDER, 12, IGPU, *i915(child))
        machine.uses(200, 9, RENDER, 13, IGPU, *i915(int8, video_ns=10**9 * second))
        gauge = only(probe, after(second, **lanes))
        assert gauge.source == "our workers' use (fdinfo)" and not gauge.proxy
    assert gauge.per_lane == {
        "int4": pytest.approx(40),  # render: 300 + 100 of 1000 ms
        "int8": pytest.approx(50),  # one of two video engines
        "cpu": 0,  # has it not open
    }
    assert gauge.percent == pytest.approx(65), "video: 30/2 + 100/2"
    assert gauge.memory_mb == pytest.approx(3 * 1000 * 1.048576)


def test_a_worker_that_ends_is_left_out_and_a_new_one_waits_for_its_second(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    machine.uses(100, 5, RENDER, 1, IGPU, *i915(0))
    assert only(probe, after(1, old={100})).reason == "measuring"
    machine.uses(200, 5, RENDER, 2, IGPU, *i915(10**9))
    machine.uses(100, 5, RENDER, 1, IGPU, *i915(250_000_000))
    both = only(probe, after(2, old={100}, new={200}))
    assert both.per_lane == {"old": pytest.approx(25)} and both.percent == pytest.approx(25)
    shutil.rmtree(tmp_path / "proc/100")
    (tmp_path / "proc/200/fdinfo/5").unlink()
    assert only(probe, after(3, old={100}, new={200})).proxy, "nobody uses it any more"


def test_a_busy_time_that_falls_back_counts_again_once_it_is_passed(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    probe = first_gpu(machine)
    loads = []
    for second, ns in enumerate((500_000_000, 400_000_000, 900_000_000)):
        machine.uses(100, 5, RENDER, 1, IGPU, *i915(ns))
        loads.append(only(probe, after(1 + second, lane={100})).percent)
    assert loads == [None, 0, pytest.approx(40)]


def xe(cycles: int, total: int) -> tuple[str, ...]:
    return (
        f"drm-cycles-ccs:\t{cycles}",
        f"drm-total-cycles-ccs:\t{total}",
        "drm-engine-capacity-ccs:\t4",
        "drm-cycles-rcs:\t0",
        f"drm-total-cycles-rcs:\t{total}",
        "drm-resident-gtt:\t192 KiB",
    )


def test_lunar_lake_with_xe_counts_cycles(tmp_path: Path) -> None:
    machine = lunar_lake(tmp_path)
    probe = first_gpu(machine)
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(1000, 7_000_000))
    only(probe, after(1, lane={100}))
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(1000 + 19_200_000, 7_000_000 + 19_200_000))
    gauge = only(probe, after(2, lane={100}))
    assert gauge.percent == pytest.approx(25), "one of four engines all the time"
    assert (gauge.mhz, gauge.memory_mb) == (1950, pytest.approx(0.196608))
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(0, 100))
    assert only(probe, after(3, lane={100})).percent is None, "its clock started anew"
    machine.uses(100, 5, RENDER, 3, IGPU, *xe(2000, 1100))
    assert only(probe, after(3.5, lane={100})).percent == pytest.approx(50)
    machine.at(IGPU, tile0__gt0__gtidle__idle_residency_ms=90_000, power__runtime_status="active")
    machine.at(IGPU, tile0__gt1__gtidle__idle_residency_ms=92_000)
    proxy = only(probe, after(4))
    assert proxy.percent == pytest.approx(100) and "gtidle" in proxy.source


def test_two_gpus_each_get_their_own_clients(tmp_path: Path) -> None:
    machine = meteor_lake(tmp_path)
    machine.plug_in(CARD, 0x030000, 0x8086, 0x56A0, "i915", "drm/renderD129")
    built_in, card = linux.gpu_probes(machine.hardware, tmp_path)
    for second, ns in ((1, 0), (2, 600_000_000)):
        machine.uses(100, 5, RENDER, 1, IGPU, *i915(ns // 2))
        machine.uses(100, 6, CARD_NODE, 1, CARD, *i915(ns))  # the same number at another GPU
        machine.uses(100, 7, CARD_NODE, 2, IGPU, *i915(ns))  # nodes renamed in a container
        moment = after(second, lane={100})
        loads = only(built_in, moment).percent, only(card, moment).percent
    assert loads == (pytest.approx(30), pytest.approx(60))
    machine.at(CARD, power__runtime_status="suspended")
    asleep = only(card, after(3, lane={100}))
    assert asleep.percent == 0 and "asleep" in asleep.source
    machine.at(CARD, power__runtime_status="active")
    assert only(card, after(99, lane={100})).reason == "measuring", "not the mean of its sleep"
    (tmp_path / "proc/100/fd/6").unlink()
    assert "does not tell how long it idles" in only(card, after(100, lane={100})).reason


def test_an_intel_gpu_that_vanishes_or_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = meteor_lake(tmp_path)
    probe = IntelGpu(machine.hardware[0], tmp_path)
    with monkeypatch.context() as patch:
        refuse(patch, "rc6_residency_ms")
        assert "rc6_residency_ms. Allow it" in only(probe, after(1)).reason
    shutil.rmtree(tmp_path / f"sys/bus/pci/devices/{IGPU}")
    with pytest.raises(FileNotFoundError):
        probe.read(after(2))


def test_a_driver_s_account_that_is_no_gpu_s_is_nobody_s() -> None:
    assert fdinfo.parse("pos:\t0\nflags:\t02\n") is None
    assert fdinfo.parse("drm-client-id: 4\ndrm-cycles-rcs: 5\n") == fdinfo.Client("4", "")
    assert [fdinfo.size(each) for each in ("7", "2 KiB", "3 MiB")] == [7, 2048, 3 << 20]


# --- AMD's and NVIDIA's GPUs ---------------------------------------------------------------


def test_an_amd_gpu_tells_its_load_and_fdinfo_the_lanes(tmp_path: Path) -> None:
    machine = amd_laptop(tmp_path)
    probe = first_gpu(machine)
    machine.uses(100, 5, RENDER, 1, APU, "drm-engine-gfx:\t7 ns")
    machine.uses(200, 5, RENDER, 2, APU)
    machine.opens(200, 6, "/dev/kfd")
    gauge = only(probe, after(1, vulkan={100}, rocm={200}))
    assert (gauge.percent, gauge.memory_mb, gauge.mhz) == (37, 3512, 2700)
    assert gauge.per_lane == {}
    new = ("drm-engine-gfx:\t7 ns", "drm-engine-compute:\t310000000 ns")
    machine.uses(100, 5, RENDER, 1, APU, *new)  # amdgpu tells an engine once it is used
    lanes = only(probe, after(2, vulkan={100}, rocm={200})).per_lane
    assert lanes == {"vulkan": pytest.approx(31)}, "what ROCm does is not counted there"
    (tmp_path / f"sys/bus/pci/devices/{APU}/gpu_busy_percent").unlink()
    with pytest.raises(FileNotFoundError):
        probe.read(after(3))
    assert "tells no load" in only(first_gpu(machine), after(3)).reason


def test_an_nvidia_gpu_is_read_by_nvml_and_so_are_its_lanes(tmp_path: Path) -> None:
    nvml = StubNvml()
    machine = with_nvidia(tmp_path)
    _, probe = linux.gpu_probes(machine.hardware, tmp_path, nvml)
    lanes = {"torch": {100, 101}, "other": {200}, "cpu": {300}}
    gauge = only(probe, after(1, **lanes))
    assert (gauge.percent, gauge.source, gauge.key) == (64, "NVML", CARD)
    assert (gauge.memory_mb, gauge.mhz) == (2500, 2100)
    assert gauge.per_lane == {}, "NVML may not have sampled since"
    idle = only(probe, after(2, **lanes)).per_lane
    assert idle == {"torch": 0, "other": 0}, "both have it open, and nobody computed"
    nvml.busy = {100: 48, 101: 12, 999: 4}
    assert only(probe, after(2, **lanes)).per_lane == {"torch": 60, "other": 0}
    nvml.refuses = {"ProcessUtilization", "MemoryInfo"}
    unsupported = only(probe, after(3, **lanes))
    assert (unsupported.per_lane, unsupported.memory_mb, unsupported.percent) == ({}, None, 64)
    nvml.refuses = {"UtilizationRates"}
    assert "NVML tells no load" in only(probe, after(4, **lanes)).reason


def test_an_nvidia_gpu_that_sleeps_is_not_woken(tmp_path: Path) -> None:
    nvml = StubNvml()
    machine = with_nvidia(tmp_path)
    machine.at(CARD, power__runtime_status="suspended")
    _, probe = linux.gpu_probes(machine.hardware, tmp_path, nvml)
    gauge = only(probe, after(1))
    assert (gauge.percent, gauge.source) == (0.0, "asleep (runtime power management)")
    assert nvml.started == 0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "libnvidia-compute"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "After an update of the driver, restart."),
    ],
)
def test_an_nvml_that_does_not_start_says_what_helps(tmp_path: Path, code: int, told: str) -> None:
    nvml = StubNvml()
    nvml.broken = code
    machine = with_nvidia(tmp_path)
    _, probe = linux.gpu_probes(machine.hardware, tmp_path, nvml)
    assert told in only(probe, after(1)).reason
    nvml.broken = 0
    assert only(probe, after(2)).percent == 64, "once it is mended"


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="for machines without NVIDIA's driver")
def test_the_real_nvml_of_a_machine_without_nvidia_has_a_reason(tmp_path: Path) -> None:
    _, probe = linux.gpu_probes(with_nvidia(tmp_path).hardware, tmp_path)
    assert "libnvidia-ml.so.1 is missing" in only(probe, after(1)).reason


def test_gpus_whose_driver_tells_no_load_say_so(tmp_path: Path) -> None:
    machine = StubMachine(tmp_path)
    assert linux.gpu_probes(machine.hardware, tmp_path) == []
    machine.plug_in("0000:01:00.0", 0x030000, NVIDIA, 0x28E0, "nouveau", "drm/renderD128")
    machine.plug_in("0000:02:00.0", 0x030000, 0x1A03, 0x2000, "ast")
    reasons = [only(each, after(1)).reason for each in linux.gpu_probes(machine.hardware, tmp_path)]
    assert reasons == [
        "The driver nouveau tells no load. NVIDIA's own driver does.",
        "The driver ast tells no load.",
    ]
