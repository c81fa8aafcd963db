"""Child process: asks one engine for its devices and prints one JSON object per line.

    python -P probe.py SECONDS openvino CPU|GPU|NPU
    python -P probe.py SECONDS torch | npu-library

Each engine has a process of its own: a broken driver can crash or hang it. This file imports only
the standard library and that engine: the NPU library has a Python of its own.

    ← {"name":"GPU.0","full_name":…,"driver":…,"architecture":…,"luid":…}   a device
    ← {"answer":true}                                                       there is an NPU
    ← {"message":"Cannot load library …"}                                   why a plugin is missing
    ← {"done":true}                                                         at the end, on success
"""

from __future__ import annotations

import datetime
import faulthandler
import importlib
import importlib.util
import json
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

Line = dict[str, Any]


def openvino(plugin: str) -> Iterator[Line]:
    """The devices of one plugin; a process for each, so a broken plugin affects no other."""
    import openvino as ov

    core = ov.Core()

    def tell(device: str, name: str) -> str | None:
        try:
            return str(core.get_property(device, name)).strip() or None
        except RuntimeError:  # not every plugin, driver or system supports it
            return None

    try:
        identities = core.get_property(plugin, "AVAILABLE_DEVICES")
    except RuntimeError as error:  # not on this system, or a library is missing
        yield {"message": str(error)}
        return
    for identity in identities:
        # OpenVINO calls a single GPU "GPU", but also accepts "GPU.0".
        name = f"{plugin}.{identity}" if plugin == "GPU" else plugin
        driver = tell(name, f"{plugin}_DRIVER_VERSION") if plugin != "CPU" else None
        yield {
            "name": name,
            "full_name": tell(name, "FULL_DEVICE_NAME"),
            "driver": npu_driver(driver) if plugin == "NPU" else driver,
            "architecture": tell(name, "DEVICE_ARCHITECTURE"),
            "luid": tell(name, "DEVICE_LUID") if sys.platform == "win32" else None,
        }


def npu_driver(number: str | None) -> str | None:
    """The driver version of the NPU plugin: on Linux a Unix time, when the driver was built."""
    if sys.platform == "win32" or not (number and number.isdecimal() and int(number) > 10**9):
        return number
    built = datetime.datetime.fromtimestamp(int(number), datetime.timezone.utc)  # noqa: UP017
    return f"{number} (built {built:%Y-%m-%d})"


def torch() -> Iterator[Line]:
    """The GPUs of a CUDA, ROCm (which reports CUDA) or XPU build."""
    import torch as pytorch

    for kind, module in (("CUDA", pytorch.cuda), ("XPU", pytorch.xpu)):
        for index in range(module.device_count() if module.is_available() else 0):
            properties = module.get_device_properties(index)
            yield {
                "name": f"{kind}.{index}",
                "full_name": properties.name,
                "driver": getattr(properties, "driver_version", None),
                "architecture": getattr(properties, "gcnArchName", None),
            }


def npu_library() -> Iterator[Line]:
    """Whether Intel's NPU library finds an NPU; without one it would silently use the CPU.

    The __init__ files of its packages import torch and transformers, which can take 45 s. The
    function that asks the driver needs neither, so empty packages replace them here.
    """
    name = "intel_npu_acceleration_library"
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.submodule_search_locations
    folders = list(spec.submodule_search_locations)
    for module, ends in ((name, ""), (f"{name}.backend", "backend")):
        package = types.ModuleType(module)
        package.__path__ = [os.path.join(folder, ends) for folder in folders]
        sys.modules[module] = package
    yield {"answer": bool(importlib.import_module(f"{name}.backend.utils").npu_available())}


PROBES: dict[str, Callable[..., Iterator[Line]]] = {
    "openvino": openvino,
    "torch": torch,
    "npu-library": npu_library,
}


def main() -> None:
    # Ends an orphan that hangs in a driver, even if that holds the GIL.
    faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an engine prints, in Python or natively
    # OpenVINO's telemetry would report the import to Google; it has no other switch.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

    def write(line: Line) -> None:
        replies.write(json.dumps(line).encode("ascii") + b"\n")
        replies.flush()

    for line in PROBES[sys.argv[2]](*sys.argv[3:]):
        write(line)
    write({"done": True})
    os._exit(0)  # some drivers crash while they are unloaded


if __name__ == "__main__":
    main()
