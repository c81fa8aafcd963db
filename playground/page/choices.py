"""The lanes and models that the page offers, and those that are chosen, for all visitors alike."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import gradio as gr

from backends import ENGINES
from playground import devices, models
from playground.errors import BadInput, PlaygroundError
from playground.lanes.host import Hosts
from playground.lanes.lane import Lane, default_lanes, installed, parse, status, table
from playground.page.access import is_owner
from playground.page.labels import lane_choices, lane_label, model_choices

PATIENCE_S = 10.0  # wait for the devices so long, then start with lanes on the CPU
POLL_S = 0.05

log = logging.getLogger(__name__)


class Choices:
    """The lanes and the model of a new visitor.

    chosen: None until `begin` has settled them.
    """

    def __init__(
        self, hosts: Hosts, chosen: list[Lane] | None, model: str, patience_s: float = PATIENCE_S
    ) -> None:
        self.hosts = hosts
        self.chosen = chosen or []
        self._offered = set(self.chosen)  # also lanes that no list has, such as "fake:CPU:60tps"
        self.model = model
        self.changes = 0  # grows when there may be more to choose from than before
        self._settled = chosen is not None
        self._held = False  # a benchmark uses the lanes
        self._patience_s = patience_s

    def begin(self) -> None:
        """Settle the first lanes and load them, in the background; probing takes seconds."""
        threading.Thread(target=self._begin, name="first lanes", daemon=True).start()

    def _begin(self) -> None:
        probing = threading.Thread(target=probe, name="devices", daemon=True)
        probing.start()
        if not self._settled:
            probing.join(self._patience_s)
            self.chosen = default_lanes() if devices.discovered() else cpu_lanes()
            self._offered |= set(self.chosen)
            self._settled = True
        self._load()
        probing.join()
        self.changes += 1

    async def settle(self) -> None:
        """Wait until there are lanes to show."""
        while not self._settled:
            await asyncio.sleep(POLL_S)

    def choose(self, chosen: list[Lane], model: str) -> None:
        """Load these lanes with the model in the background, and unload all others."""
        if model != self.model and not self._held:
            for lane in chosen:
                self.hosts[lane].release()  # drop what is being prepared for the other model
        self.chosen, self.model = chosen, model
        self._offered |= set(chosen)
        self._load()

    def hold(self) -> None:
        """Load nothing that is chosen from now on, until `resume`."""
        self._held = True

    def resume(self) -> None:
        """Load what is chosen by now, and unload all others."""
        self._held = False
        self._load()

    def _load(self) -> None:
        if not self._held:
            self.hosts.choose(self.chosen, self.model)

    def permit(self, model: str, chosen: list[Lane], request: gr.Request) -> str:
        """The model's canonical name.

        Raises BadInput for an unknown model, and for what only the owner may do: name any model,
        or have one prepared by using a lane.
        """
        if is_owner(request):
            return models.check(model)
        if model not in self._model_names(owner=False):
            raise BadInput(
                "Only the person at this machine may name a model.", "Choose one from the list."
            )
        for lane in chosen:
            in_use = lane in self.chosen and model == self.model
            if not in_use and status(lane, model).status != "ready":
                raise BadInput(
                    f"{lane_label(lane)} is not ready for {models.title(model)}.",
                    "The person at this machine can prepare it; choose another lane.",
                )
        return model

    def models(self, request: gr.Request, *chosen: str) -> list[tuple[str, str]]:
        """The models to choose from, and those already chosen; to guests only stored models."""
        owner = is_owner(request)
        return model_choices([*self._model_names(owner), *chosen], paths=owner)

    def lanes(self, model: str, request: gr.Request) -> list[tuple[str, str]]:
        """The lanes to choose from: those that this machine can run, and those chosen before."""
        usable = ("ready", "needs-model") if is_owner(request) else ("ready",)
        offered = sorted(self._offered, key=lambda lane: lane.name)
        return lane_choices([*lanes_with(model, usable), *offered])

    def _model_names(self, owner: bool) -> list[str]:
        """For guests no preset that is not stored, and no local path but the chosen model's."""
        names = [
            stored.model
            for stored in models.inventory()
            if owner or (stored.parts and not Path(stored.model).is_absolute())
        ]
        return list(dict.fromkeys([*names, self.model]))


def probe() -> None:
    """Probe the devices; an error there must not cost the page its lanes."""
    try:
        devices.discover()
    except Exception:
        log.exception("The devices could not be probed")


def cpu_lanes() -> list[Lane]:
    """The CPU lane of each installed engine: these need no knowledge of the devices."""
    lanes = [
        parse(f"{backend}:CPU")
        for backend, engine in ENGINES.items()
        if backend != "fake" and "CPU" in engine.best and installed(engine)
    ]
    return lanes or [parse("fake")]


def lanes_with(model: str, statuses: tuple[str, ...] = ("ready", "needs-model")) -> list[Lane]:
    """The lanes of this machine with one of these statuses, without waiting for its devices."""
    if devices.discovered() is None:
        return cpu_lanes()
    try:
        rows = table(model)
    except PlaygroundError:  # the model's folder has gone: the chosen lanes report that
        return cpu_lanes()
    return [parse(row["lane"]) for row in rows if row["status"] in statuses]
