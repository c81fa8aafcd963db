"""The Models tab's handlers."""

from __future__ import annotations

import gradio as gr

from playground import models
from playground.errors import BadInput, PlaygroundError
from playground.formatting import file_size
from playground.lanes.host import Hosts
from playground.lanes.lane import Lane, parse, parse_all
from playground.page.access import is_owner, require_owner
from playground.page.choices import Choices, lanes_with
from playground.page.components import QUIET, Json, Updates, event_data
from playground.page.jobs import WORKING, PreparationJob
from playground.page.labels import lane_choices, lane_label, model_label
from playground.page.models.tab import HINT, ModelsTab
from playground.page.models.view import models_value
from playground.page.notes import NO_NOTE, note, notes_errors

CHECKING = note("Checking the size …")


class ModelsHandlers:
    """The handlers of the tab; its job is the same for all visitors."""

    def __init__(self, hosts: Hosts, choices: Choices) -> None:
        self.hosts, self.choices = hosts, choices
        self.job = PreparationJob()
        self.tab = ModelsTab()
        self._connect()

    def _connect(self) -> None:
        tab, choice = self.tab, [self.tab.model, self.tab.names]
        tab.container.select(self.table, None, tab.table, **QUIET)
        tab.model.input(self.choose_model, choice, [*choice, tab.status], **QUIET)
        tab.size.click(lambda: CHECKING, None, tab.status, **QUIET).then(
            self.size, choice, tab.status, **QUIET
        )
        tab.prepare.click(self.prepare, choice, [tab.status, tab.job], **QUIET)
        tab.job.cancel(self.cancel_preparation, None, tab.job, **QUIET)
        tab.table.remove(self.remove, None, [tab.removed, tab.table], **QUIET)

    # What the components show

    def table(self, request: gr.Request) -> Json:
        """The stored models."""
        return models_value(models.inventory(), owner=is_owner(request))

    def lanes(self, model: str, names: list[str]) -> list[tuple[str, str]]:
        """The lanes that a model could be prepared for, and those that are chosen."""
        lanes = [*lanes_with(model), *map(parse, names)]
        return lane_choices(lane for lane in lanes if lane.needs_model)

    # What the events do

    def arrive(self, request: gr.Request) -> Updates:
        """A new page: the model and the lanes of the Compare tab, and the stored models."""
        model = self.choices.model
        names = [lane.name for lane in self.choices.chosen if lane.needs_model]
        return {
            self.tab.model: gr.update(choices=self.choices.models(request), value=model),
            self.tab.names: gr.update(choices=self.lanes(model, names), value=names),
            self.tab.table: self.table(request),
        }

    def tick(self, request: gr.Request) -> Updates:
        """Once a second: the progress."""
        return {self.tab.job: self.job.view(is_owner(request))}

    @notes_errors
    def choose_model(self, model: str, names: list[str], request: gr.Request) -> Updates:
        """A model was chosen or typed: show its canonical name and its lanes."""
        require_owner(request)
        model = models.check(model)
        return {
            self.tab.model: gr.update(choices=self.choices.models(request, model), value=model),
            self.tab.names: gr.update(choices=self.lanes(model, names)),
            self.tab.status: HINT,
        }

    @notes_errors
    def size(self, model: str, names: list[str], request: gr.Request) -> Updates:
        """What a preparation would need, as a sentence and its steps."""
        require_owner(request)
        model, lanes = self.target(model, names)
        needs = models.needs(model, [(lane.format, lane.precision) for lane in lanes])
        needs.check()
        return {self.tab.status: note(needs.sentence(), needs.steps)}

    @notes_errors
    def prepare(self, model: str, names: list[str], request: gr.Request) -> Updates:
        """Start preparing a model for some lanes."""
        require_owner(request)
        self.job.start(*self.target(model, names))
        return {self.tab.status: NO_NOTE, self.tab.job: self.job.view(is_owner(request))}

    def cancel_preparation(self, request: gr.Request) -> Json:
        """Cancel the preparation in progress."""
        if is_owner(request):
            self.job.cancel()
        return self.job.view(is_owner(request))

    def remove(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Remove a model, after the visitor has confirmed it."""
        try:
            require_owner(request)
            confirmed = event_data(event)
            model = str(confirmed.get("model", ""))
            self.check_unused(model)
            freed = models.remove(model, cache=confirmed.get("cache") is True)
        except PlaygroundError as error:
            return {self.tab.removed: note(error)}
        self.choices.changes += 1
        removed = f"Removed {model_label(model, paths=False)}: {file_size(freed)} freed."
        return {self.tab.removed: note(removed), self.tab.table: self.table(request)}

    def target(self, model: str, names: list[str]) -> tuple[str, list[Lane]]:
        """The model's canonical name and the lanes to prepare it for. Raises BadInput."""
        model = models.check(model)
        lanes = [lane for lane in parse_all(names) if lane.needs_model]
        for lane in lanes:
            if obstacle := models.obstacle(model, lane.format):
                raise BadInput(*obstacle)
        if not lanes:
            raise BadInput("These lanes need no model.", "Choose others.")
        return model, lanes

    def check_unused(self, model: str) -> None:
        """Raises BadInput while a lane has the model loaded, or it is being prepared."""
        if self.job.state == WORKING and self.job.model == model:
            raise BadInput("It is being prepared.", "Cancel that first.")
        lanes = [host.lane for host in self.hosts.all() if host.lane.needs_model]
        loaded = [lane_label(lane) for lane in lanes if self.hosts[lane].is_ready(model)]
        if loaded:
            raise BadInput(
                f"It is loaded in {', '.join(loaded)}.",
                "Press “Unload idle workers” on the Machine tab, then remove it.",
            )
