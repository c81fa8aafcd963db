"""Which lanes and which model the page offers, and which are chosen, for all visitors alike."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import gradio as gr

from backends import ENGINES
from playground import devices, models
from playground.errors import BadInput, PlaygroundError
from playground.lanes import lane as lanes
from playground.lanes.host import Hosts
from playground.lanes.lane import Lane
from playground.page.access import is_owner
from playground.page.compare import view

PATIENCE_S = 10.0  # for the devices, before the first lanes are taken on the CPU
LOOK_S = 0.05

log = logging.getLogger(__name__)


class Choices:
    """The lanes and the model of a new visitor. chosen: None until `begin` has found some."""

    def __init__(
        self, hosts: Hosts, chosen: list[Lane] | None, model: str, patience_s: float = PATIENCE_S
    ) -> None:
        self.hosts = hosts
        self.chosen = chosen or []
        self._named = set(self.chosen)  # also at paces that no list has: "fake:CPU:60tps"
        self.model = model
        self.changes = 0  # grows when there may be more to choose from than before
        self._settled = chosen is not None
        self._held = False  # a benchmark has the lanes
        self._patience_s = patience_s

    def begin(self) -> None:
        """Settle the first lanes and load them, in the background: devices take seconds to find."""
        threading.Thread(target=self._begin, name="first lanes", daemon=True).start()

    def _begin(self) -> None:
        probing = threading.Thread(target=probe, name="devices", daemon=True)
        probing.start()
        if not self._settled:
            probing.join(self._patience_s)
            self.chosen = lanes.default_lanes() if devices.discovered() else cpu_lanes()
            self._named |= set(self.chosen)
            self._settled = True
        self._load()
        probing.join()
        self.changes += 1

    async def settle(self) -> None:
        """Wait until there are lanes to show."""
        while not self._settled:
            await asyncio.sleep(LOOK_S)

    def choose(self, chosen: list[Lane], model: str) -> None:
        """Load these lanes with the model in the background, and unload all others."""
        if model != self.model and not self._held:
            for lane in chosen:
                self.hosts[lane].release()  # do not finish what is being made of the other model
        self.chosen, self.model = chosen, model
        self._named |= set(chosen)
        self._load()

    def hold(self) -> None:
        """From now on what is chosen is not loaded before `resume`."""
        self._held = True

    def resume(self) -> None:
        """Load what is chosen by now, and unload all others."""
        self._held = False
        self._load()

    def _load(self) -> None:
        if not self._held:
            self.hosts.choose(self.chosen, self.model)

    def permit(self, model: str, chosen: list[Lane], request: gr.Request) -> str:
        """The model's canonical name. Raises BadInput where there is no such model, and for what
        only the person at this machine may: name any model, or have one made by using a lane."""
        if is_owner(request):
            return models.check(model)
        if model not in self._names(owner=False):
            raise BadInput(
                "Only the person at this machine may name a model.", "Choose one of the list."
            )
        for lane in chosen:
            at_hand = lane in self.chosen and model == self.model
            if not at_hand and lanes.status(lane, model).status != "ready":
                raise BadInput(
                    f"{view.label(lane)} is not ready for {models.title(model)}.",
                    "The person at this machine can prepare it; choose another lane.",
                )
        return model

    def may_name_models(self, request: gr.Request) -> bool:
        return is_owner(request)

    def of_models(self, request: gr.Request, *also: str) -> list[tuple[str, str]]:
        """The models to choose from: for visitors from elsewhere those that are there, and `also`
        what they have chosen before."""
        owner = is_owner(request)
        return view.model_labels([*self._names(owner), *also], paths=owner)

    def of_lanes(self, model: str, request: gr.Request) -> list[tuple[str, str]]:
        """The lanes to choose from: those that this machine can run, and those once chosen."""
        usable = ("ready", "needs-model") if is_owner(request) else ("ready",)
        named = sorted(self._named, key=lambda lane: lane.name)
        return view.labels([*able(model, usable), *named])

    def _names(self, owner: bool) -> list[str]:
        """To others no preset that is not there, and no path here but the chosen model's."""
        there = [
            item.model
            for item in models.inventory()
            if owner or (item.parts and not Path(item.model).is_absolute())
        ]
        return list(dict.fromkeys([*there, self.model]))


def probe() -> None:
    """Let the devices be known; whatever goes wrong there must not cost the page its lanes."""
    try:
        devices.discover()
    except Exception:
        log.exception("The devices could not be found")


def cpu_lanes() -> list[Lane]:
    """Of each installed engine its lane on the CPU: no device must be known for these."""
    able = [
        lanes.parse(f"{backend}:CPU")
        for backend, engine in ENGINES.items()
        if backend != "fake" and "CPU" in engine.best and lanes.installed(engine)
    ]
    return able or [lanes.parse("fake")]


def able(model: str, statuses: tuple[str, ...] = ("ready", "needs-model")) -> list[Lane]:
    """The lanes of this machine in one of these states, without waiting for its devices."""
    if devices.discovered() is None:
        return cpu_lanes()
    try:
        rows = lanes.table(model)
    except PlaygroundError:  # its folder has gone: what is chosen says so
        return cpu_lanes()
    return [lanes.parse(row["lane"]) for row in rows if row["status"] in statuses]
