"""Parts of /sys and /proc of machines with GPUs and NPUs: stubs, made after the kernel's sources
and what owners of such machines published. No hardware has confirmed them.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml

from playground.devices import Hardware, sysfs
from playground.gauges.readings import Moment
from tests.support.machines import AMD, INTEL, NVIDIA, StubLinux

IGPU, NPU, CARD, APU, XDNA = (
    "0000:00:02.0",
    "0000:00:0b.0",
    "0000:01:00.0",
    "0000:c1:00.0",
    "0000:c2:00.1",
)


class StubMachine(StubLinux):
    """Devices' files are written by `at`, processes' by `opens`; seconds pass by `after`."""

    @property
    def hardware(self) -> tuple[Hardware, ...]:
        return sysfs.scan(self.root, may_open=lambda node: True)

    def at(self, address: str, **files: object) -> None:
        """Files in a device's folder; "__" stands for "/"."""
        for name, content in files.items():
            self.write(f"sys/bus/pci/devices/{address}/{name.replace('__', '/')}", str(content))

    def opens(self, pid: int, fd: int, node: str, account: str = "") -> None:
        """A file descriptor of a process, and the kernel's account of it."""
        links = self.root / f"proc/{pid}/fd"
        links.mkdir(parents=True, exist_ok=True)
        (links / str(fd)).unlink(missing_ok=True)
        (links / str(fd)).symlink_to(node)
        self.write(f"proc/{pid}/fdinfo/{fd}", f"pos:\t0\nflags:\t02100002\nmnt_id:\t29\n{account}")

    def uses(self, pid: int, fd: int, node: str, client: int, pdev: str, *lines: str) -> None:
        """Such a file descriptor of a DRM driver."""
        head = f"drm-driver:\tstub\ndrm-client-id:\t{client}\ndrm-pdev:\t{pdev}"
        self.opens(pid, fd, node, "\n".join([head, *lines]))

    def energy(self, uj: int, zone: str = "intel-rapl:0", name: str = "package-0") -> None:
        folder = f"sys/class/powercap/{zone}"
        files = {"name": name, "energy_uj": uj, "max_energy_range_uj": 262143328850}
        for each, content in files.items():
            self.write(f"{folder}/{each}", str(content))


def after(seconds: float, **lanes: set[int]) -> Moment:
    return Moment(round(seconds * 1e9), {lane: frozenset(pids) for lane, pids in lanes.items()})


def meteor_lake(root: Path) -> StubMachine:
    """i915 and intel_vpu, RAPL with a part."""
    machine = StubMachine(root)
    machine.plug_in(IGPU, 0x030000, INTEL, 0x7D55, "i915", "drm/renderD128")
    machine.plug_in(NPU, 0x120000, INTEL, 0x7D1D, "intel_vpu", "accel/accel0")
    for gt in ("gt0", "gt1"):
        machine.at(IGPU, **{f"drm__card0__gt__{gt}__rc6_residency_ms": 5000})
        machine.at(IGPU, **{f"drm__card0__gt__{gt}__rps_act_freq_mhz": 0})
    machine.at(NPU, npu_busy_time_us=7_000_000, npu_current_frequency_mhz=0)
    machine.energy(1_000_000)
    machine.energy(400_000, "intel-rapl:0:0", "core")
    machine.energy(9_000_000, "intel-rapl:1", "psys")
    return machine


def lunar_lake(root: Path) -> StubMachine:
    """xe: one tile, a gt for computing and one for media."""
    machine = StubMachine(root)
    machine.plug_in(IGPU, 0x030000, INTEL, 0x64A0, "xe", "drm/renderD128")
    for gt in ("gt0", "gt1"):
        machine.at(IGPU, **{f"tile0__{gt}__gtidle__idle_residency_ms": 90_000})
    machine.at(IGPU, tile0__gt0__freq0__act_freq=1950, tile0__gt1__freq0__act_freq=0)
    return machine


def amd_laptop(root: Path) -> StubMachine:
    """A chip with GPU and NPU, without a RAPL that may be read."""
    machine = StubMachine(root)
    machine.plug_in(APU, 0x030000, AMD, 0x15BF, "amdgpu", "drm/renderD128")
    machine.plug_in(XDNA, 0x118000, 0x1022, 0x1502, "amdxdna", "accel/accel0")
    machine.at(APU, gpu_busy_percent=37, mem_info_vram_used=512_000_000)
    machine.at(APU, mem_info_gtt_used=3_000_000_000, hwmon__hwmon4__freq1_input=2_700_000_000)
    machine.at(APU, hwmon__hwmon4__power1_input=21_000_000)
    metrics = machine.root / f"sys/bus/pci/devices/{APU}/gpu_metrics"
    metrics.write_bytes(bytes((120, 0, 2, 1)) + bytes(116))
    return machine


def with_nvidia(root: Path) -> StubMachine:
    """A laptop with an Intel and an NVIDIA GPU, as "two GPUs"."""
    machine = meteor_lake(root)
    machine.write("sys/module/nvidia/version", "570.86.16")
    machine.plug_in(CARD, 0x030200, NVIDIA, 0x28E0, "nvidia", "drm/renderD129")
    machine.at(CARD, power__runtime_status="active")
    return machine


class StubNvml:
    """With one GPU; `refuses` names what it does not support, `broken` why it does not start."""

    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.broken = 0
        self.started = 0
        self.busy: dict[int, int] = {}  # percent by pid, of those that computed
        self.energy_mj = 50_000

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVMLError"):
            return getattr(pynvml, name)
        answers = {
            "UtilizationRates": SimpleNamespace(gpu=64, memory=20),
            "MemoryInfo": SimpleNamespace(total=8 << 30, used=2_500_000_000),
            "ClockInfo": 2100,
            "ComputeRunningProcesses": [SimpleNamespace(pid=100), SimpleNamespace(pid=200)],
            "TotalEnergyConsumption": self.energy_mj,
            "PowerUsage": 45_500,
        }
        question = name.removeprefix("nvmlDeviceGet")
        if question not in answers:
            raise AttributeError(name)
        if question in self.refuses:
            return lambda *about: self._raise(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return lambda *about: answers[question]

    def _raise(self, code: int) -> None:
        raise pynvml.NVMLError(code)

    def nvmlInit(self) -> None:
        self.started += 1
        if self.broken:
            self._raise(self.broken)

    def nvmlDeviceGetHandleByPciBusId(self, address: str) -> str:
        if address != CARD:
            self._raise(pynvml.NVML_ERROR_NOT_FOUND)
        return "the GPU"

    def nvmlDeviceGetProcessUtilization(self, gpu: str, since_us: int) -> list[SimpleNamespace]:
        if "ProcessUtilization" in self.refuses:
            self._raise(pynvml.NVML_ERROR_NOT_SUPPORTED)
        if not self.busy:
            self._raise(pynvml.NVML_ERROR_NOT_FOUND)
        return [
            SimpleNamespace(pid=pid, smUtil=load, timeStamp=since_us + 1)
            for pid, load in self.busy.items()
        ]
