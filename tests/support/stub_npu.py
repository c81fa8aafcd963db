"""A stub of the device alone: an NPU is said to be there, and the real library runs without it."""

from __future__ import annotations

from backends.npu_library import NpuLibrary


class StubNpu(NpuLibrary):
    """Loads and quantises as on an NPU; the library's stand-in on the CPU computes."""

    def npu_found(self) -> bool:
        return True
