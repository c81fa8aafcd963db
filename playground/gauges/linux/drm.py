"""What our workers use of a GPU or NPU, from the kernel's account of each open device file.

/proc/<pid>/fdinfo/<n> needs no root for one's own processes. Format: the kernel's
Documentation/gpu/drm-usage-stats.rst. i915, amdgpu and amdxdna count nanoseconds, xe cycles.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from playground.gauges.readings import Moment, percent

SOURCE = "our workers' use (fdinfo)"
KFD = "/dev/kfd"  # ROCm's queues: amdgpu's fdinfo does not count them
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class DrmEngine:
    """Busy since the file was opened, in ns; or in cycles, and then with those that passed."""

    busy: int
    passed: int | None = None
    capacity: int = 1  # of how many like engines `busy` is the sum


@dataclass(frozen=True)
class Client:
    """One opening of a device; all file descriptors made of it tell the same."""

    id: str
    device: str  # PCI address; "" where it is not told
    engines: Mapping[str, DrmEngine] = field(default_factory=dict)
    resident: int | None = None  # bytes


@dataclass(frozen=True)
class Use:
    """percent: 0..100 of the busiest engine; None: not known yet, or the driver does not count."""

    percent: float | None
    per_lane: Mapping[str, float]
    memory_mb: float | None
    counted: bool  # whether the driver counts busy time at all


class Clients:
    """The workers' openings of one device. folder: its own in sysfs, which names its nodes."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._proc = root / "proc"
        self._address = folder.name
        nodes = {"drm": "/dev/dri", "accel": "/dev/accel"}
        self._nodes = frozenset(
            f"{place}/{path.name}"
            for kind, place in nodes.items()
            for path in folder.glob(f"{kind}/*")
        )
        self.forget()

    def forget(self) -> None:
        self.strangers: dict[str, float] = {}  # 0.0 for each lane that has it not open at all
        self._ns = 0
        self._last: dict[tuple[str, str], Client] = {}

    def read(self, moment: Moment) -> Use | None:
        """None: no worker has it open. A process that ends meanwhile is left out."""
        elapsed, self._ns = moment.ns - self._ns, moment.ns
        last, self._last = self._last, {}
        busy: dict[str, dict[str, float]] = {}  # lane → engine → share
        for lane, client in self._find(moment):
            before = last.get((lane, client.id))
            now = client if before is None else caught_up(client, before)
            self._last[lane, client.id] = now
            if before is not None:
                mine = busy.setdefault(lane, defaultdict(float))
                for name, share in shares(now, before, elapsed):
                    mine[name] += share
        return summed(list(self._last.values()), busy) if self._last else None

    def _find(self, moment: Moment) -> Iterator[tuple[str, Client]]:
        """Each lane's clients, each once however many file descriptors it has."""
        self.strangers = {}
        for lane, pids in moment.pids.items():
            found: dict[str, Client] = {}
            accounts = [self._accounts(pid) for pid in pids]
            for text in [text for texts in accounts for text in texts or ()]:
                client = parse(text)
                if client and client.device in ("", self._address):
                    found[client.id] = client
            if not found and None not in accounts:
                self.strangers[lane] = 0.0
            yield from ((lane, client) for client in found.values())

    def _accounts(self, pid: int) -> list[str] | None:
        """The texts of the file descriptors that lead to the device. None: may not be looked at."""
        texts = []
        try:
            links = targets(f"{self._proc}/{pid}/fd")
        except OSError:  # it has ended, or may not be looked at
            return None
        if KFD in links.values():
            return None
        for name, target in links.items():
            if target in self._nodes:
                with contextlib.suppress(OSError):  # closed meanwhile
                    texts.append((self._proc / f"{pid}/fdinfo/{name}").read_text(encoding="utf-8"))
        return texts


def targets(folder: str) -> dict[str, str]:
    """Where the links in a folder lead; most of the cost of a reading, some µs for each."""
    found = {}
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            found[name] = os.readlink(f"{folder}/{name}")
    return found


def parse(text: str) -> Client | None:
    """None: no DRM driver's, or one that does not count."""
    lines = (line.partition(":") for line in text.splitlines())
    fields = {key: value.strip() for key, _, value in lines if key.startswith("drm-")}
    if "drm-client-id" not in fields:
        return None
    resident = [size(value) for key, value in fields.items() if key.startswith("drm-resident-")]
    return Client(
        fields["drm-client-id"],
        fields.get("drm-pdev", ""),
        dict(engines(fields)),
        sum(resident) if resident else None,
    )


def engines(fields: Mapping[str, str]) -> Iterator[tuple[str, DrmEngine]]:
    for key, value in fields.items():
        name = key.removeprefix("drm-engine-").removeprefix("drm-cycles-")
        capacity = int(fields.get(f"drm-engine-capacity-{name}", "1"))
        passed = fields.get(f"drm-total-cycles-{name}")
        if key.startswith("drm-engine-") and not key.startswith("drm-engine-capacity-"):
            yield name, DrmEngine(int(value.split()[0]), None, capacity)
        elif key.startswith("drm-cycles-") and passed is not None:
            yield name, DrmEngine(int(value), int(passed), capacity)


def size(value: str) -> int:
    """Bytes of "192 KiB", "16 MiB" or "0"."""
    count, _, unit = value.partition(" ")
    return int(count) * UNITS.get(unit, 1)


def caught_up(now: Client, before: Client) -> Client:
    """A busy time may fall back for a while: the greater one holds until it is passed. Where the
    clock beside it has started anew, all has."""
    held = dict(now.engines)
    for name, old in before.engines.items():
        new = held.get(name)
        if new is not None and (new.passed or 0) >= (old.passed or 0):
            held[name] = replace(new, busy=max(new.busy, old.busy))
    return replace(now, engines=held)


def shares(now: Client, before: Client, elapsed_ns: int) -> Iterator[tuple[str, float]]:
    """0..1 of each engine. amdgpu tells an engine only once it has been used."""
    for name, engine in now.engines.items():
        old = before.engines.get(name, DrmEngine(0))
        passed = elapsed_ns if engine.passed is None else engine.passed - (old.passed or 0)
        if passed > 0 and (engine.passed is None) == (old.passed is None):
            yield name, (engine.busy - old.busy) / passed / engine.capacity


def summed(clients: list[Client], busy: Mapping[str, Mapping[str, float]]) -> Use:
    together: dict[str, float] = defaultdict(float)
    for mine in busy.values():
        for name, share in mine.items():
            together[name] += share
    resident = [each.resident for each in clients if each.resident is not None]
    lanes = {lane: percent(max(mine.values())) for lane, mine in busy.items() if mine}
    return Use(
        percent(max(together.values(), default=None)),
        {lane: load for lane, load in lanes.items() if load is not None},
        sum(resident) / 1e6 if resident else None,
        any(each.engines for each in clients),
    )
