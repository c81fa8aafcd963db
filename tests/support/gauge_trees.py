"""Stubs of /sys and /proc of machines with GPUs and NPUs, modelled on the kernel's sources and on
what owners of such machines published. They have not been checked on real hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pynvml
import pytest

from playground.devices import Hardware, sysfs
from playground.gauges import linux
from playground.gauges.readings import Gauge, LoadProbe, Meter, Moment
from tests.support.machines import AMD, INTEL, NVIDIA, StubLinux

IGPU, NPU, CARD, APU, XDNA = (
    "0000:00:02.0",
    "0000:00:0b.0",
    "0000:01:00.0",
    "0000:c1:00.0",
    "0000:c2:00.1",
)
RENDER, CARD_NODE, ACCEL = "/dev/dri/renderD128", "/dev/dri/renderD129", "/dev/accel/accel0"


class StubMachine(StubLinux):
    """A machine whose files a test writes: of devices with `at`, of processes with `opens`."""

    @property
    def hardware(self) -> tuple[Hardware, ...]:
        return sysfs.scan(self.root, may_open=lambda node: True)

    def at(self, address: str, **files: object) -> None:
        """Files in a device's folder; "__" stands for "/"."""
        for name, content in files.items():
            self.write(f"sys/bus/pci/devices/{address}/{name.replace('__', '/')}", str(content))

    def opens(self, pid: int, fd: int, node: str, statistics: str = "") -> None:
        """A file descriptor of a process, and the kernel's statistics on it."""
        links = self.root / f"proc/{pid}/fd"
        links.mkdir(parents=True, exist_ok=True)
        (links / str(fd)).unlink(missing_ok=True)
        (links / str(fd)).symlink_to(node)
        self.write(
            f"proc/{pid}/fdinfo/{fd}", f"pos:\t0\nflags:\t02100002\nmnt_id:\t29\n{statistics}"
        )

    def uses(self, pid: int, fd: int, node: str, client: int, pdev: str, *lines: str) -> None:
        """A file descriptor of a DRM driver's device."""
        head = f"drm-driver:\tstub\ndrm-client-id:\t{client}\ndrm-pdev:\t{pdev}"
        self.opens(pid, fd, node, "\n".join([head, *lines]))

    def energy(self, uj: int, zone: str = "intel-rapl:0", name: str = "package-0") -> None:
        folder = f"sys/class/powercap/{zone}"
        files = {"name": name, "energy_uj": uj, "max_energy_range_uj": 262143328850}
        for file, content in files.items():
            self.write(f"{folder}/{file}", str(content))


def after(seconds: float, **lanes: set[int]) -> Moment:
    """The moment of a reading. lanes: the process ids of each lane's worker."""
    return Moment(round(seconds * 1e9), {lane: frozenset(pids) for lane, pids in lanes.items()})


def first_gpu(machine: StubMachine, nvml: ModuleType | None = None) -> LoadProbe:
    return linux.gpu_probes(machine.hardware, machine.root, nvml)[0]


def read_one(probe: LoadProbe, moment: Moment) -> Gauge:
    """The gauge of a probe that has one."""
    gauge = probe.read(moment)
    assert (gauge.percent is None) == bool(gauge.reason), "exactly the unknown has a reason"
    return gauge


def meter_reader(
    machine: StubMachine, nvml: ModuleType | None = None
) -> Callable[[float], dict[str, Meter]]:
    """Reads all meters of the machine, by what they cover."""
    probes = linux.power_probes(machine.hardware, machine.root, nvml)

    def read(seconds: float) -> dict[str, Meter]:
        meters = [probe.read(after(seconds)) for probe in probes]
        assert all((meter.watts is None) == bool(meter.reason) for meter in meters)
        assert len({meter.covers for meter in meters}) == len(meters)
        return {meter.covers: meter for meter in meters}

    return read


def deny(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take away the permission to read files of that name; file modes do not stop root."""
    real = Path.read_text

    def read_text(path: Path, *args: Any, **options: Any) -> str:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", read_text)


def i915(render_ns: int, video_ns: int = 0) -> tuple[str, ...]:
    """The driver's statistics on one client."""
    return (
        f"drm-engine-render:\t{render_ns} ns",
        f"drm-engine-video:\t{video_ns} ns",
        "drm-engine-capacity-video:\t2",
        "drm-resident-system0:\t1000 MiB",
        "drm-resident-stolen-system0:\t0",
    )


def meteor_lake(root: Path) -> StubMachine:
    """i915 and intel_vpu, and RAPL with a part of the package."""
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
    """xe: one tile with a gt for computing and one for media."""
    machine = StubMachine(root)
    machine.plug_in(IGPU, 0x030000, INTEL, 0x64A0, "xe", "drm/renderD128")
    for gt in ("gt0", "gt1"):
        machine.at(IGPU, **{f"tile0__{gt}__gtidle__idle_residency_ms": 90_000})
    machine.at(IGPU, tile0__gt0__freq0__act_freq=1950, tile0__gt1__freq0__act_freq=0)
    return machine


def amd_laptop(root: Path) -> StubMachine:
    """A chip with GPU and NPU, and no readable RAPL."""
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
    """A laptop with an Intel and an NVIDIA GPU."""
    machine = meteor_lake(root)
    machine.write("sys/module/nvidia/version", "570.86.16")
    machine.plug_in(CARD, 0x030200, NVIDIA, 0x28E0, "nvidia", "drm/renderD129")
    machine.at(CARD, power__runtime_status="active")
    return machine


class StubNvml(ModuleType):
    """NVML with one GPU. refuses: what it does not support; broken: the error of its start."""

    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.refuses: set[str] = set()
        self.broken = 0
        self.started = 0
        self.busy: dict[int, int] = {}  # percent by pid of the processes that computed
        self.energy_mj = 50_000

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVMLError"):
            return getattr(pynvml, name)
        functions = {
            "nvmlInit": self._init,
            "nvmlDeviceGetHandleByPciBusId": self._handle,
            "nvmlDeviceGetProcessUtilization": self._process_utilization,
        }
        if name in functions:
            return functions[name]
        answers = {
            "UtilizationRates": SimpleNamespace(gpu=64, memory=20),
            "MemoryInfo": SimpleNamespace(total=8 << 30, used=2_500_000_000),
            "ClockInfo": 2100,
            "ComputeRunningProcesses": [SimpleNamespace(pid=100), SimpleNamespace(pid=200)],
            "TotalEnergyConsumption": self.energy_mj,
            "PowerUsage": 45_500,
        }
        query = name.removeprefix("nvmlDeviceGet")
        if query not in answers:
            raise AttributeError(name)
        if query in self.refuses:
            return lambda *arguments: self._raise(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return lambda *arguments: answers[query]

    def _raise(self, code: int) -> None:
        raise pynvml.NVMLError(code)

    def _init(self) -> None:
        self.started += 1
        if self.broken:
            self._raise(self.broken)

    def _handle(self, address: str) -> str:
        if address != CARD:
            self._raise(pynvml.NVML_ERROR_NOT_FOUND)
        return "the GPU"

    def _process_utilization(self, gpu: str, since_us: int) -> list[SimpleNamespace]:
        if "ProcessUtilization" in self.refuses:
            self._raise(pynvml.NVML_ERROR_NOT_SUPPORTED)
        if not self.busy:
            self._raise(pynvml.NVML_ERROR_NOT_FOUND)
        return [
            SimpleNamespace(pid=pid, smUtil=load, timeStamp=since_us + 1)
            for pid, load in self.busy.items()
        ]
