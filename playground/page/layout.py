"""The page: gauges above the tabs, and the events that concern all of them."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr

from playground.arena import Arena
from playground.lanes.lane import Lane
from playground.page.benchmark import tab as bench_tab
from playground.page.benchmark.job import BenchmarkJob
from playground.page.benchmark.tab import BenchmarkHandlers
from playground.page.choices import Choices
from playground.page.compare import tab as compare_tab
from playground.page.compare.handlers import CompareHandlers
from playground.page.compare.tab import QUIET
from playground.page.components import html
from playground.page.history import tab as history_tab
from playground.page.history.tab import HistoryHandlers
from playground.page.machine import tab as machine_tab
from playground.page.machine.tab import MachineHandlers
from playground.page.models import tab as models_tab
from playground.page.models.tab import ModelsHandlers


class Tabs:
    """The handlers of all tabs, on one arena. chosen: the first lanes, None to find the best."""

    def __init__(self, arena: Arena, chosen: list[Lane] | None, model: str) -> None:
        self.choices = Choices(arena.hosts, chosen, model)
        benching = BenchmarkJob(arena, self.choices)
        self.compare = CompareHandlers(arena, self.choices, benching)
        self.bench = BenchmarkHandlers(self.choices, benching, self.compare.sessions)
        self.kept = HistoryHandlers(self.compare)
        self.models = ModelsHandlers(arena.hosts, self.choices)
        self.machine = MachineHandlers(arena, self.choices)

    @property
    def changes(self) -> int:
        """Grows when there may be other lanes, models or devices than before."""
        return sum((self.choices.changes, self.models.preparing.ends, self.machine.setting_up.ends))

    async def arrive(self, request: gr.Request) -> list[Any]:
        """A new page: what there is to choose, as soon as the first lanes are settled."""
        await self.choices.settle()
        return await asyncio.to_thread(self._arrived, request)

    def _arrived(self, request: gr.Request) -> list[Any]:
        self.compare.sessions[request.session_hash].seen = self.changes
        return [
            *self.compare.arrive(request),
            *self.bench.arrive(request),
            *self.models.arrive(request),
            self.machine.actions(request),
            self.machine.board(request),
        ]

    def tick(
        self,
        names: list[str],
        model: str,
        bench_names: list[str],
        bench_model: str,
        other: str,
        for_lanes: list[str],
        request: gr.Request,
    ) -> list[Any]:
        """Once a second: what changes by itself, and the rest for whom it has changed.

        names, model: chosen on the Compare tab; bench_…: on Benchmark; other, for_lanes: model and
        lanes on Models.
        """
        return [
            *self.compare.tick(names, model, request),
            self.bench.job(request),
            self.bench.news(request),
            self.models.job(request),
            self.machine.memory(),
            self.machine.actions(request),
            self.machine.job(request),
            self.kept.refresh(request),
            *self.refresh(model, bench_names, bench_model, other, for_lanes, request),
        ]

    def refresh(
        self,
        model: str,
        bench_names: list[str],
        bench_model: str,
        other: str,
        for_lanes: list[str],
        request: gr.Request,
    ) -> list[Any]:
        """Everything to choose from, the tables; all skipped where this visitor has it already.

        What is chosen stays among the choices: Gradio drops and refuses whatever is not.
        """
        session, changes = self.compare.sessions[request.session_hash], self.changes
        if session.seen == changes:
            return [gr.skip()] * 8
        session.seen = changes
        known = self.choices.of_models(request, model, bench_model, other)
        return [
            gr.update(choices=self.choices.of_lanes(model, request)),
            gr.update(choices=known),
            gr.update(choices=self.bench.of_lanes(bench_model, bench_names, request)),
            gr.update(choices=known),
            gr.update(choices=known),
            gr.update(choices=self.models.of_lanes(other, for_lanes)),
            self.models.table(request),
            self.machine.board(request),
        ]

    def close(self) -> None:
        """Call off what goes on in the background."""
        self.bench.benching.cancel()
        self.models.preparing.cancel()
        self.machine.setting_up.cancel()


def build(tabs: Tabs) -> gr.Blocks:
    """The page's layout and events."""
    with gr.Blocks(title="AI PC Playground", analytics_enabled=False) as page:
        strip = html("strip", tabs.compare.strip())
        with gr.Tabs(elem_id="tabs") as bar:
            with gr.Tab("Compare", id="compare", elem_id="compare-tab", render_children=True):
                compare = compare_tab.build(tabs.compare)
            with gr.Tab("Benchmark", elem_id="bench-tab", render_children=True) as tab:
                bench = bench_tab.build(tabs.bench, tab)
            with gr.Tab("History", elem_id="history-tab", render_children=True) as tab:
                history = history_tab.build(tabs.kept, tab, bar, compare)
            with gr.Tab("Models", elem_id="models-tab", render_children=True) as tab:
                models = models_tab.build(tabs.models, tab)
            with gr.Tab("Machine", elem_id="machine-tab", render_children=True) as tab:
                machine = machine_tab.build(tabs.machine, tab)
        arrived = [compare.names, compare.model, *compare.columns, *compare.cards, compare.status]
        arrived += [bench.names, bench.model, bench.job, bench.result]
        arrived += [models.model, models.names, models.table, machine.actions, machine.board]
        page.load(tabs.arrive, None, arrived, **QUIET)
        moving = [strip, *compare.cards, bench.job, bench.result, models.job]
        moving += [machine.memory, machine.actions, machine.job]
        moving += [history.list]
        benched = [bench.names, bench.model]
        choices = [compare.names, compare.model, *benched, models.model, models.names]
        gr.Timer(1).tick(
            tabs.tick,
            choices,
            [*moving, *choices, models.table, machine.board],
            **QUIET,
        )
    return page
