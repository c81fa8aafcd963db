"""NVIDIA's GPUs, by NVML, which comes with their driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from playground.devices import Hardware
from playground.gauges.linux.pci import MEASURING, GpuLoad, GpuPower
from playground.gauges.readings import Gauge, Growth, Meter, Moment

NO_LOAD = "NVML tells no load of this GPU: its driver or its kind does not support it."
NO_POWER = "NVML tells no power of this GPU: its driver or its kind does not support it."
NO_PACKAGE = "The package nvidia-ml-py is missing. Install it: python run.py setup"
NO_LIBRARY = (
    "NVIDIA's library libnvidia-ml.so.1 is missing. Install the driver's own "
    "(Debian: libnvidia-ml1, Ubuntu: libnvidia-compute, Fedora: nvidia-driver-cuda-libs)."
)
SAMPLING_NS = 1_200_000_000  # NVML samples each 1/6 to 1 s
T = TypeVar("T")


class Unusable(Exception):
    """NVML cannot be used; its text is the reason and what would help."""


class Nvml:
    """Starts NVML when it is first asked. library: the module pynvml, or a stub of it."""

    def __init__(self, library: Any = None) -> None:
        self._library = library
        self._started = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def gpu(self, address: str) -> Any:
        """The handle of the GPU on the PCI bus. Raises Unusable."""
        try:
            if self._library is None:
                import pynvml

                self._library = pynvml
            if not self._started:
                self._library.nvmlInit()
                self._started = True
        except ImportError:
            raise Unusable(NO_PACKAGE) from None
        except self._library.NVMLError_LibraryNotFound:
            raise Unusable(NO_LIBRARY) from None
        except self._library.NVMLError as error:
            trouble = f"NVML does not start: {error}."
            raise Unusable(f"{trouble} After an update of the driver, restart.") from None
        return self._library.nvmlDeviceGetHandleByPciBusId(address)

    def ask(self, question: Callable[..., T], *about: Any) -> T | None:
        """None: this GPU, driver or user cannot have the answer."""
        try:
            return question(*about)
        except (
            self._library.NVMLError_NotSupported,
            self._library.NVMLError_NoPermission,
            self._library.NVMLError_FunctionNotFound,
        ):
            return None


class NvidiaGpu(GpuLoad):
    def __init__(self, device: Hardware, root: Path = Path("/"), library: Any = None) -> None:
        super().__init__(device, root)
        self._nvml = Nvml(library)
        self._seen_us = self._seen_ns = 0

    def awake(self, moment: Moment) -> Gauge:
        nvml = self._nvml
        try:
            gpu = nvml.gpu(self.nothing.key)
        except Unusable as error:
            return self.nothing.unknown(str(error))
        load = nvml.ask(nvml.nvmlDeviceGetUtilizationRates, gpu)
        memory = nvml.ask(nvml.nvmlDeviceGetMemoryInfo, gpu)
        return Gauge(
            self.name,
            None if load is None else float(load.gpu),
            source="" if load is None else "NVML",
            reason=NO_LOAD if load is None else "",
            per_lane=self._per_lane(gpu, moment),
            key=self.nothing.key,
            memory_mb=None if memory is None else memory.used / 1e6,
            mhz=nvml.ask(nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_SM),
        )

    def _per_lane(self, gpu: Any, moment: Moment) -> dict[str, float]:
        """NVML lists the processes that computed since it was last asked; the others did not."""
        nvml = self._nvml
        here = nvml.ask(nvml.nvmlDeviceGetComputeRunningProcesses, gpu)
        try:
            samples = nvml.ask(nvml.nvmlDeviceGetProcessUtilization, gpu, self._seen_us)
        except nvml.NVMLError_NotFound:
            samples = []
        if here is None or samples is None:
            return {}
        if samples:
            self._seen_us = max(each.timeStamp for each in samples)
            self._seen_ns = moment.ns
        elif moment.ns - self._seen_ns < SAMPLING_NS:  # too soon to say that they were idle
            return {}
        busy = {each.pid: each.smUtil for each in samples}
        running = {each.pid for each in here}
        return {
            lane: min(float(sum(busy.get(pid, 0) for pid in pids)), 100.0)
            for lane, pids in moment.pids.items()
            if pids & running
        }


class NvidiaGpuPower(GpuPower):
    """By the energy counter (Volta and newer); by the power of the moment where there is none."""

    def __init__(self, device: Hardware, root: Path = Path("/"), library: Any = None) -> None:
        super().__init__(device, root)
        self._nvml = Nvml(library)
        self._address = device.address or ""
        self.forget()

    def forget(self) -> None:
        self._energy_mj = Growth()

    def awake(self, moment: Moment) -> Meter:
        nvml, key = self._nvml, self.nothing.covers
        try:
            gpu = nvml.gpu(self._address)
        except Unusable as error:
            return self.nothing.unknown(str(error))
        energy = nvml.ask(nvml.nvmlDeviceGetTotalEnergyConsumption, gpu)
        if energy is None:
            power = nvml.ask(nvml.nvmlDeviceGetPowerUsage, gpu)  # mW
            if power is None:
                return self.nothing.unknown(NO_POWER)
            return Meter(self.name, power / 1000, source="NVML's power", covers=key)
        grown = self._energy_mj.per_second(energy, moment.ns)
        reason = MEASURING if grown is None else ""
        watts = None if grown is None else grown / 1000
        return Meter(self.name, watts, source="NVML's energy", reason=reason, covers=key)
