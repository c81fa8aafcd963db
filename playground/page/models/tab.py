"""The Models tab: what is there and how big; making more of it, and removing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground import models
from playground.errors import BadInput, PlaygroundError
from playground.formatting import file_size
from playground.lanes.host import Hosts
from playground.lanes.lane import Lane, parse, parse_all
from playground.page.access import is_owner, only_owner
from playground.page.choices import Choices, able
from playground.page.compare import view
from playground.page.compare.tab import QUIET
from playground.page.components import html
from playground.page.jobs import WORKING, PreparationJob
from playground.page.models import view as models_view

NOTHING = view.note("")
ASKING = view.note("Asking how big it is …")
HINT = view.note("Check size tells what would be fetched and made, before anything starts.")


class ModelsHandlers:
    """The tab's handlers; `preparing` goes on whoever watches."""

    def __init__(self, hosts: Hosts, choices: Choices) -> None:
        self.hosts, self.choices = hosts, choices
        self.preparing = PreparationJob()

    def table(self, request: gr.Request) -> dict[str, Any]:
        return models_view.table(models.inventory(), owner=is_owner(request))

    def job(self, request: gr.Request) -> dict[str, Any]:
        return self.preparing.view(is_owner(request))

    def of_lanes(self, model: str, names: list[str]) -> list[tuple[str, str]]:
        """The lanes that a model could be made for, and those that are chosen."""
        lanes = [*able(model), *map(parse, names)]
        return view.labels(lane for lane in lanes if lane.needs_model)

    # What the events do

    def arrive(self, request: gr.Request) -> list[Any]:
        """A new page: the model and the lanes of the Compare tab, and what is there."""
        model = self.choices.model
        names = [lane.name for lane in self.choices.chosen if lane.needs_model]
        return [
            gr.update(choices=self.choices.of_models(request), value=model),
            gr.update(choices=self.of_lanes(model, names), value=names),
            self.table(request),
        ]

    def name(self, model: str, names: list[str], request: gr.Request) -> list[Any]:
        """A model was chosen or typed: its canonical name, its lanes."""
        try:
            only_owner(request)
            model = models.check(model)
        except PlaygroundError as error:
            return [gr.skip(), gr.skip(), view.note(error)]
        chosen = gr.update(choices=self.choices.of_models(request, model), value=model)
        return [chosen, gr.update(choices=self.of_lanes(model, names)), HINT]

    def size(self, model: str, names: list[str], request: gr.Request) -> dict[str, Any]:
        """What preparing would take, as a sentence and its steps."""
        try:
            only_owner(request)
            model, wanted = self.wanted(model, names)
            found = models.needs(model, [(lane.format, lane.precision) for lane in wanted])
            found.check()
        except PlaygroundError as error:
            return view.note(error)
        return view.note(found.sentence(), found.steps)

    def prepare(self, model: str, names: list[str], request: gr.Request) -> list[Any]:
        try:
            only_owner(request)
            self.preparing.start(*self.wanted(model, names))
        except PlaygroundError as error:
            return [view.note(error), gr.skip()]
        return [NOTHING, self.job(request)]

    def cancel(self, request: gr.Request) -> dict[str, Any]:
        if is_owner(request):
            self.preparing.cancel()
        return self.job(request)

    def remove(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Remove what was confirmed in the table."""
        try:
            only_owner(request)
            asked = event._data if isinstance(event._data, dict) else {}
            model, cache = str(asked.get("model", "")), asked.get("cache") is True
            self.check_unused(model)
            freed = models.remove(model, cache=cache)
        except PlaygroundError as error:
            return [view.note(error), gr.skip()]
        self.choices.changes += 1
        title = view.model_label(model, paths=False)
        return [view.note(f"Removed {title}: {file_size(freed)} freed."), self.table(request)]

    def wanted(self, model: str, names: list[str]) -> tuple[str, list[Lane]]:
        """The model's canonical name and the lanes to make it for. Raises BadInput."""
        model = models.check(model)
        wanted = [lane for lane in parse_all(names) if lane.needs_model]
        for lane in wanted:
            if obstacle := models.obstacle(model, lane.format):
                raise BadInput(*obstacle)
        if not wanted:
            raise BadInput("These lanes need no model.", "Choose others.")
        return model, wanted

    def check_unused(self, model: str) -> None:
        """Raises BadInput while a lane holds the model, or it is being prepared here."""
        if self.preparing.state == WORKING and self.preparing.model == model:
            raise BadInput("It is being prepared just now.", "Cancel that first.")
        users = [host.lane for host in self.hosts.all() if host.lane.needs_model]
        loaded = [view.label(lane) for lane in users if self.hosts[lane].is_ready(model)]
        if loaded:
            raise BadInput(
                f"It is loaded in {', '.join(loaded)}.",
                "Press “Unload idle workers” on the Machine tab, then remove it.",
            )


@dataclass(frozen=True)
class ModelsTab:
    """The components that events of the whole page fill."""

    model: gr.Dropdown
    names: gr.Dropdown
    job: gr.HTML
    table: gr.HTML


def build(handlers: ModelsHandlers, tab: gr.Tab) -> ModelsTab:
    """Inside that tab: what to prepare, how it goes, what is there; with its events."""
    with gr.Row(elem_id="prepare", elem_classes="owner-only"):
        model = gr.Dropdown(
            [],
            value=None,
            allow_custom_value=True,
            label="Model, or an id or path that you type",
            scale=3,
            min_width=260,
            elem_id="prepare-model",
        )
        names = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label="For these lanes",
            scale=6,
            min_width=260,
            elem_id="prepare-lanes",
        )
        with gr.Column(scale=1, min_width=130, elem_classes="stacked"):
            size = gr.Button("Check size", elem_id="check-size")
            prepare = gr.Button("Prepare", variant="primary", elem_id="prepare-now")
    with gr.Column(elem_classes="owner-only"):
        note = html("note", HINT, elem_id="size")
    job = html("job", None, elem_id="preparing")
    removed = html("note", NOTHING, elem_id="removed")
    table = html("models", None, elem_id="models")

    model.input(handlers.name, [model, names], [model, names, note], **QUIET)
    size.click(lambda: ASKING, None, note, **QUIET).then(
        handlers.size, [model, names], note, **QUIET
    )
    prepare.click(handlers.prepare, [model, names], [note, job], **QUIET)
    job.cancel(handlers.cancel, None, job, **QUIET)
    table.remove(handlers.remove, None, [removed, table], **QUIET)
    tab.select(handlers.table, None, table, **QUIET)
    return ModelsTab(model, names, job, table)
