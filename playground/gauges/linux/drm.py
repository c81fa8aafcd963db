"""How much our workers use a GPU or NPU, from the kernel's statistics on each open device file.

/proc/<pid>/fdinfo/<n> needs no root for one's own processes. Format: the kernel's
Documentation/gpu/drm-usage-stats.rst. i915, amdgpu and amdxdna count nanoseconds, xe cycles.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from playground.gauges.readings import Moment, percent

SOURCE = "our workers' use (fdinfo)"
KFD = "/dev/kfd"  # ROCm's queues: amdgpu's fdinfo does not count them
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class DrmEngine:
    """One engine's busy time since the file was opened: in ns, or in cycles out of `total`."""

    busy: int
    total: int | None = None
    capacity: int = 1  # number of identical engines of which `busy` is the sum


@dataclass(frozen=True)
class DrmClient:
    """One opened device; all file descriptors duplicated from it have the same statistics."""

    client_id: str
    device: str  # PCI address; "" if unknown
    engines: Mapping[str, DrmEngine] = field(default_factory=dict)
    resident: int | None = None  # bytes


@dataclass(frozen=True)
class DrmUsage:
    """percent: 0..100 of the busiest engine; None: not known yet, or the driver does not count."""

    percent: float | None
    per_lane: Mapping[str, float]
    memory_mb: float | None
    counted: bool  # whether the driver counts busy time at all


class DrmClients:
    """The workers' clients of one device. folder: the device's in sysfs, which names its nodes."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._proc = root / "proc"
        self._address = folder.name
        places = {"drm": "/dev/dri", "accel": "/dev/accel"}
        self._nodes = frozenset(
            f"{place}/{path.name}"
            for kind, place in places.items()
            for path in folder.glob(f"{kind}/*")
        )
        self.reset()

    def reset(self) -> None:
        self.absent_lanes: dict[str, float] = {}  # 0.0 for each lane that has not opened the device
        self._ns = 0
        self._last: dict[tuple[str, str], DrmClient] = {}

    def read(self, moment: Moment) -> DrmUsage | None:
        """None: no worker has opened the device. A process that ends meanwhile is left out."""
        elapsed_ns, self._ns = moment.ns - self._ns, moment.ns
        last, self._last = self._last, {}
        busy: dict[str, dict[str, float]] = {}  # lane → engine → share
        for lane, client in self._find(moment):
            before = last.get((lane, client.client_id))
            now = client if before is None else monotonic(client, before)
            self._last[lane, client.client_id] = now
            if before is not None:
                engines = busy.setdefault(lane, defaultdict(float))
                for name, share in shares(now, before, elapsed_ns):
                    engines[name] += share
        return combine(list(self._last.values()), busy) if self._last else None

    def _find(self, moment: Moment) -> Iterator[tuple[str, DrmClient]]:
        """Each lane's clients, each of them once, however many file descriptors it has."""
        self.absent_lanes = {}
        for lane, pids in moment.pids.items():
            clients: dict[str, DrmClient] = {}
            statistics = [self._statistics(pid) for pid in pids]
            for text in [text for texts in statistics for text in texts or ()]:
                client = parse_fdinfo(text)
                if client and client.device in ("", self._address):
                    clients[client.client_id] = client
            if not clients and None not in statistics:
                self.absent_lanes[lane] = 0.0
            yield from ((lane, client) for client in clients.values())

    def _statistics(self, pid: int) -> list[str] | None:
        """The texts of the process's file descriptors of the device; None: they can't be read, or
        do not count all of its work."""
        texts = []
        try:
            links = link_targets(f"{self._proc}/{pid}/fd")
        except OSError:  # it has ended, or belongs to another user
            return None
        if KFD in links.values():
            return None
        for name, target in links.items():
            if target in self._nodes:
                with contextlib.suppress(OSError):  # closed meanwhile
                    texts.append((self._proc / f"{pid}/fdinfo/{name}").read_text(encoding="utf-8"))
        return texts


def link_targets(folder: str) -> dict[str, str]:
    """The targets of the links in a folder. Most of a reading's cost: some µs for each link."""
    targets = {}
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            targets[name] = os.readlink(f"{folder}/{name}")
    return targets


def parse_fdinfo(text: str) -> DrmClient | None:
    """None: the file is not a DRM driver's, or the driver does not count."""
    lines = (line.partition(":") for line in text.splitlines())
    fields = {key: value.strip() for key, _, value in lines if key.startswith("drm-")}
    if "drm-client-id" not in fields:
        return None
    sizes = [parse_size(value) for key, value in fields.items() if key.startswith("drm-resident-")]
    return DrmClient(
        fields["drm-client-id"],
        fields.get("drm-pdev", ""),
        dict(parse_engines(fields)),
        sum(sizes) if sizes else None,
    )


def parse_engines(fields: Mapping[str, str]) -> Iterator[tuple[str, DrmEngine]]:
    for key, value in fields.items():
        name = key.removeprefix("drm-engine-").removeprefix("drm-cycles-")
        capacity = int(fields.get(f"drm-engine-capacity-{name}", "1"))
        total = fields.get(f"drm-total-cycles-{name}")
        if key.startswith("drm-engine-") and not key.startswith("drm-engine-capacity-"):
            yield name, DrmEngine(int(value.split()[0]), None, capacity)
        elif key.startswith("drm-cycles-") and total is not None:
            yield name, DrmEngine(int(value), int(total), capacity)


def parse_size(value: str) -> int:
    """Bytes of "192 KiB", "16 MiB" or "0"."""
    count, _, unit = value.partition(" ")
    return int(count) * UNITS.get(unit, 1)


def monotonic(now: DrmClient, before: DrmClient) -> DrmClient:
    """The client with busy times that never decrease: some drivers' fall back for a while. Times
    whose total has started anew have all been reset and stay as they are."""
    engines = dict(now.engines)
    for name, old in before.engines.items():
        new = engines.get(name)
        if new is not None and (new.total or 0) >= (old.total or 0):
            engines[name] = replace(new, busy=max(new.busy, old.busy))
    return replace(now, engines=engines)


def shares(now: DrmClient, before: DrmClient, elapsed_ns: int) -> Iterator[tuple[str, float]]:
    """0..1 of each engine. amdgpu lists an engine only after its first use."""
    for name, engine in now.engines.items():
        old = before.engines.get(name, DrmEngine(0))
        elapsed = elapsed_ns if engine.total is None else engine.total - (old.total or 0)
        if elapsed > 0 and (engine.total is None) == (old.total is None):
            yield name, (engine.busy - old.busy) / elapsed / engine.capacity


def combine(clients: Sequence[DrmClient], busy: Mapping[str, Mapping[str, float]]) -> DrmUsage:
    """All clients' usage. busy: lane → engine → share."""
    totals: dict[str, float] = defaultdict(float)
    for engines in busy.values():
        for name, share in engines.items():
            totals[name] += share
    resident = [client.resident for client in clients if client.resident is not None]
    lanes = {lane: percent(max(engines.values())) for lane, engines in busy.items() if engines}
    return DrmUsage(
        percent(max(totals.values(), default=None)),
        {lane: load for lane, load in lanes.items() if load is not None},
        sum(resident) / 1e6 if resident else None,
        any(client.engines for client in clients),
    )
