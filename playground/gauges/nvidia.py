"""NVIDIA's GPUs, read through NVML, which comes with their driver."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from types import ModuleType
from typing import TypeVar

from playground.devices import Hardware
from playground.gauges.readings import MEASURING, CounterRate, Gauge, Meter, Moment

NO_LOAD = "NVML does not report this GPU's load: the GPU or its driver does not support it."
NO_POWER = "NVML does not report this GPU's power: the GPU or its driver does not support it."
NO_PACKAGE = "The package nvidia-ml-py is missing. Install it: python run.py setup"
NO_LIBRARY = (
    "NVIDIA's library libnvidia-ml.so.1 is missing. Install the one of your driver "
    "(Debian: libnvidia-ml1, Ubuntu: libnvidia-compute, Fedora: nvidia-driver-cuda-libs)."
)
SAMPLING_NS = 1_200_000_000  # NVML samples every 1/6 to 1 s
T = TypeVar("T")


class NvmlUnavailable(Exception):
    """NVML can't be used; the message is the reason and what would help."""


class Nvml:
    """NVML, started at its first use. library: the module pynvml or a stub of it."""

    def __init__(self, library: ModuleType | None) -> None:
        self._stub = library
        self._started = False

    @cached_property
    def library(self) -> ModuleType:
        return self._stub or importlib.import_module("pynvml")

    def gpu(self, address: str) -> object:
        """The handle of the GPU at a PCI address. Raises NvmlUnavailable."""
        try:
            library = self.library
        except ImportError:
            raise NvmlUnavailable(NO_PACKAGE) from None
        try:
            if not self._started:
                library.nvmlInit()
                self._started = True
        except library.NVMLError_LibraryNotFound:
            raise NvmlUnavailable(NO_LIBRARY) from None
        except library.NVMLError as error:
            problem = f"NVML does not start: {error}."
            raise NvmlUnavailable(f"{problem} After an update of the driver, restart.") from None
        handle: object = library.nvmlDeviceGetHandleByPciBusId(address)
        return handle

    def query(self, function: Callable[..., T], *arguments: object) -> T | None:
        """None: not available for this GPU, driver or user."""
        try:
            return function(*arguments)
        except (
            self.library.NVMLError_NotSupported,
            self.library.NVMLError_NoPermission,
            self.library.NVMLError_FunctionNotFound,
        ):
            return None


class NvidiaGpu:
    """The load of a GPU and each lane's part of it. Reading it wakes the GPU."""

    def __init__(self, device: Hardware, library: ModuleType | None = None) -> None:
        self._empty = Gauge(device.name, key=device.address or "")
        self._nvml = Nvml(library)
        self._sampled_us = self._sampled_ns = 0

    def read(self, moment: Moment) -> Gauge:
        try:
            gpu = self._nvml.gpu(self._empty.key)
        except NvmlUnavailable as error:
            return self._empty.unknown(str(error))
        nvml, query = self._nvml.library, self._nvml.query
        load = query(nvml.nvmlDeviceGetUtilizationRates, gpu)
        memory = query(nvml.nvmlDeviceGetMemoryInfo, gpu)
        return replace(
            self._empty,
            percent=None if load is None else float(load.gpu),
            source="" if load is None else "NVML",
            reason=NO_LOAD if load is None else "",
            per_lane=self._per_lane(gpu, moment),
            memory_mb=None if memory is None else memory.used / 1e6,
            mhz=query(nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_SM),
        )

    def _per_lane(self, gpu: object, moment: Moment) -> dict[str, float]:
        """NVML lists the processes that computed since the last call; all others were idle."""
        nvml, query = self._nvml.library, self._nvml.query
        processes = query(nvml.nvmlDeviceGetComputeRunningProcesses, gpu)
        try:
            samples = query(nvml.nvmlDeviceGetProcessUtilization, gpu, self._sampled_us)
        except nvml.NVMLError_NotFound:
            samples = []
        if processes is None or samples is None:
            return {}
        if samples:
            self._sampled_us = max(sample.timeStamp for sample in samples)
            self._sampled_ns = moment.ns
        elif moment.ns - self._sampled_ns < SAMPLING_NS:  # too soon to call them idle
            return {}
        busy = {sample.pid: sample.smUtil for sample in samples}
        running = {process.pid for process in processes}
        return {
            lane: min(float(sum(busy.get(pid, 0) for pid in pids)), 100.0)
            for lane, pids in moment.pids.items()
            if pids & running
        }


class NvidiaGpuPower:
    """Power from the energy counter (Volta and newer), otherwise the momentary power."""

    def __init__(self, device: Hardware, library: ModuleType | None = None) -> None:
        self.name = device.name
        self._address = device.address or ""
        self._empty = Meter(device.name, covers=device.luid or self._address)
        self._nvml = Nvml(library)
        self.reset()

    def reset(self) -> None:
        """Forget the energy counter's last value."""
        self._energy_j = CounterRate()

    def read(self, moment: Moment) -> Meter:
        try:
            gpu = self._nvml.gpu(self._address)
        except NvmlUnavailable as error:
            return self._empty.unknown(str(error))
        nvml, query = self._nvml.library, self._nvml.query
        energy_mj = query(nvml.nvmlDeviceGetTotalEnergyConsumption, gpu)
        if energy_mj is None:
            power_mw = query(nvml.nvmlDeviceGetPowerUsage, gpu)
            if power_mw is None:
                return self._empty.unknown(NO_POWER)
            return replace(self._empty, watts=power_mw / 1000, source="NVML's power")
        watts = self._energy_j.per_second(energy_mj / 1000, moment.ns)
        return replace(
            self._empty,
            watts=watts,
            source="NVML's energy",
            reason=MEASURING if watts is None else "",
        )
