"""The page: gauges above the tabs, and the events that concern several tabs."""

from __future__ import annotations

import asyncio

import gradio as gr
from gradio.blocks import Block
from gradio.events import api

from playground.arena import Arena
from playground.lanes.lane import Lane
from playground.page.benchmark.handlers import BenchmarkHandlers
from playground.page.benchmark.job import BenchmarkJob
from playground.page.choices import Choices
from playground.page.compare.handlers import DEVICES, CompareHandlers
from playground.page.compare.strip import strip
from playground.page.components import QUIET, Inputs, Json, Updates, html
from playground.page.history.handlers import HistoryHandlers
from playground.page.machine.handlers import MachineHandlers
from playground.page.models.handlers import ModelsHandlers
from playground.page.sessions import Sessions


class Page:
    """The page on one arena. chosen: the first lanes, None to choose the best."""

    def __init__(self, arena: Arena, chosen: list[Lane] | None, model: str) -> None:
        self.arena = arena
        self.choices = Choices(arena.hosts, chosen, model)
        self.sessions = Sessions()
        self.benchmark_job = BenchmarkJob(arena, self.choices)
        with gr.Blocks(title="AI PC Playground", analytics_enabled=False) as self.blocks:
            self.strip = html("strip", self.strip_value())
            self.file = html("file", elem_id="file")
            with gr.Tabs(elem_id="tabs") as self.tabs:
                job, sessions = self.benchmark_job, self.sessions
                self.compare = CompareHandlers(arena, self.choices, job, sessions)
                self.benchmark = BenchmarkHandlers(self.choices, job, sessions, self.file)
                self.history = HistoryHandlers(self.compare, self.tabs, self.file)
                self.models = ModelsHandlers(arena.hosts, self.choices)
                self.machine = MachineHandlers(arena, self.choices, self.file)
            self._connect()

    def _connect(self) -> None:
        compare, benchmark = self.compare.tab, self.benchmark.tab
        models, machine = self.models.tab, self.machine.tab
        others: list[Block] = [benchmark.names, benchmark.model, models.names, models.model]
        boards: list[Block] = [benchmark.job, benchmark.result, models.table]
        boards += [machine.board, machine.set_up]
        self.blocks.load(self.arrive, None, [*compare.choices, *others, *boards], **QUIET)
        offered = [compare.names, compare.model, *others]
        moving: list[Block] = [self.strip, *compare.cards, self.history.tab.listing, models.job]
        moving += [machine.memory, machine.job]
        gr.Timer(1).tick(self.tick, set(offered), [*moving, *offered, *boards], **QUIET)
        api(self.compare.compare, api_name="compare", **DEVICES)

    @property
    def changes(self) -> int:
        """Grows when there may be other lanes, models or devices than before."""
        return self.choices.changes + self.models.job.ends + self.machine.job.ends

    async def arrive(self, request: gr.Request) -> Updates:
        """A new page: what there is to choose, as soon as the first lanes are settled."""
        await self.choices.settle()
        return await asyncio.to_thread(self._arrived, request)

    def _arrived(self, request: gr.Request) -> Updates:
        self.sessions[request.session_hash].seen = self.changes
        return {
            **self.compare.arrive(request),
            **self.benchmark.arrive(request),
            **self.models.arrive(request),
            **self.machine.arrive(request),
        }

    def tick(self, values: Inputs, request: gr.Request) -> Updates:
        """Once a second: what changes by itself, and the choices if they have changed.

        values: the lanes and the model that are chosen on each tab.
        """
        names, model = values[self.compare.tab.names], values[self.compare.tab.model]
        return {
            self.strip: self.strip_value(),
            **self.compare.tick(names, model, request),
            **self.benchmark.tick(request),
            **self.history.tick(request),
            **self.models.tick(request),
            **self.machine.tick(request),
            **self.refresh(values, request),
        }

    def strip_value(self) -> Json:
        """All gauges."""
        sampler = self.arena.sampler
        return strip(sampler.samples, self.benchmark_job.busy, sampler.power_source.text)

    def refresh(self, values: Inputs, request: gr.Request) -> Updates:
        """The choices and the tables, unless this visitor has seen the latest.

        What is chosen stays among the choices: Gradio drops and refuses anything else.
        """
        session, changes = self.sessions[request.session_hash], self.changes
        if session.seen == changes:
            return {}
        session.seen = changes
        compare, benchmark, models = self.compare.tab, self.benchmark.tab, self.models.tab
        chosen = [values[tab.model] for tab in (compare, benchmark, models)]
        available = self.choices.models(request, *chosen)
        compare_model, benchmark_model, preparation_model = chosen
        benchmark_lanes = self.benchmark.lanes(benchmark_model, values[benchmark.names], request)
        preparation_lanes = self.models.lanes(preparation_model, values[models.names])
        return {
            compare.names: gr.update(choices=self.choices.lanes(compare_model, request)),
            compare.model: gr.update(choices=available),
            benchmark.names: gr.update(choices=benchmark_lanes),
            benchmark.model: gr.update(choices=available),
            models.names: gr.update(choices=preparation_lanes),
            models.model: gr.update(choices=available),
            models.table: self.models.table(request),
            self.machine.tab.board: self.machine.board(request),
        }

    def close(self) -> None:
        """Cancel what goes on in the background."""
        for job in (self.benchmark_job, self.models.job, self.machine.job):
            job.cancel()
