"""One lane's part in a run: it sends the prompt, collects the answer and keeps its figures."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from backends.base import Options
from playground.errors import PlaygroundError, PreparationError, Unavailable
from playground.gauges import aggregate
from playground.gauges.readings import Sample
from playground.lanes.host import Host
from playground.lanes.lane import gauge_key
from playground.lanes.memory import on_a_card
from playground.prompt import Tokenizer
from playground.runs import metrics
from playground.runs.record import IN_TURN, TOGETHER, Failure, Record, Weights
from playground.runs.request import Request
from playground.workers.events import LoadedLane

FINAL = ("ok", "error", "unavailable", "stopped")
MEMORY_INTERVAL_S = 0.25


@dataclass(frozen=True)
class LaneView:
    """What a column shows of a run. tps: live while it answers; proof: which device did the work,
    as the gauges read it."""

    text: str
    tps: float | None
    ttft_ms: float | None
    new_tokens: int
    proof: str
    energy_j: float | None
    j_per_token: float | None
    idle_w: float | None

    @property
    def device_proof(self) -> str:
        """The device that did the work, and its energy: "NPU 93 % busy during this answer ·
        0.42 J/token (12.3 J, idle 4.1 W)"."""
        parts = [self.proof] if self.proof else []
        if self.j_per_token is not None:
            idle = "" if self.idle_w is None else f", idle {self.idle_w:.1f} W"
            parts.append(f"{self.j_per_token:.2f} J/token ({self.energy_j:.1f} J{idle})")
        return " · ".join(parts)


class LaneRun:
    """One lane's part in a run: filled by a thread of its own, and read at any time by others."""

    def __init__(self, request: Request, host: Host) -> None:
        self.host = host
        self.lane = host.lane
        self.status = "waiting"  # then running, then one of FINAL
        self.finish_reason: str | None = None
        self.error: PlaygroundError | None = None
        self.tokenizer: Tokenizer | None = None
        self.prompt: list[int] = []
        self.tokenise_ns = 0
        # Times in ns: the prompt was submitted, the worker had its ids, the answer ended.
        self.t0: int | None = None
        self.t_in: int | None = None
        self.ended: int | None = None
        self.stopping = False
        self._request = request
        self._text = ""
        self._ids: list[int] = []
        self._times: list[int] = []
        self._peak_rss_mb: float | None = None
        self._memory_read_at = 0.0
        self._loaded: LoadedLane = {}
        self._weights = host.weights
        self._proof = aggregate.Proof()
        self._energy_j: float | None = None
        self._idle_w: float | None = None
        self._lock = threading.Lock()

    @property
    def contended(self) -> bool:
        """Whether its figures share cores, memory bandwidth and power with other lanes."""
        return self._request.mode == TOGETHER and len(self._request.lanes) > 1

    @property
    def finished(self) -> bool:
        return self.status in FINAL

    @property
    def times(self) -> list[int]:
        """When each token arrived, in ns."""
        with self._lock:
            return list(self._times)

    def stop(self) -> None:
        """Stop within a token or two; a run that has not begun will be skipped."""
        self.stopping = True
        if self.status == "running":
            self.host.worker.stop()

    def check_prompt_length(self) -> None:
        """Raises PlaygroundError when the prompt exceeds the capacity of the lane's engine."""
        max_tokens = self.host.loaded.get("max_prompt")
        if max_tokens is not None and len(self.prompt) > max_tokens:
            raise PlaygroundError(
                f"The prompt has {len(self.prompt):,} tokens; the limit of this lane is "
                f"{max_tokens:,}.",
                "Shorten the prompt, or choose a lane on the CPU or the GPU.",
            )

    def generate(self) -> None:
        """Send the prompt and collect the answer until it ends, is stopped or fails."""
        tokenizer = self.tokenizer
        assert tokenizer is not None
        capacity = self.host.loaded.get("capacity") or tokenizer.context
        space = min(tokenizer.context, capacity) - len(self.prompt)
        limit = self._request.max_new_tokens
        options = Options(
            max_new_tokens=min(limit, space),
            temperature=float(self._request.temperature),
            stop_ids=tokenizer.stop_ids,
            ignore_eos=self._request.ignore_eos,
        )
        # The lane may load another model before the record is read.
        self._loaded, self._weights = self.host.loaded, self.host.weights
        self.status = "running"
        stream = tokenizer.stream()
        # The user also waited for the template and the tokenizer, once for all lanes.
        self.t0 = time.perf_counter_ns() - self.tokenise_ns
        try:
            for event in self.host.worker.ask(
                "generate", prompt=self.prompt, options=vars(options)
            ):
                if event["event"] == "begun":
                    self.t_in = event["t_ns"]
                elif event["event"] == "tokens":
                    self._add(event["ids"], event["t_ns"], stream.push(event["ids"]))
                elif event["event"] == "end":
                    reason = event["reason"]
                    full = reason == "length" and space < limit
                    self._end("context" if full else reason, event.get("t_ns"))
                if self.stopping:  # `stop` was called before the worker had begun
                    self.host.worker.stop()
        except PlaygroundError as error:
            self.fail(error)
        finally:
            with self._lock:
                self._text = tokenizer.decode(self._ids)

    def observe(self, samples: Sequence[Sample], idle_w: float | None) -> None:
        """Take from the gauges which device did the work, and its energy.

        idle_w: the power of the machine before the run.
        """
        times = self.times
        if not times or self.t_in is None or self.ended is None:
            return
        lane, key = self.lane, gauge_key(self.lane)
        device = "CPU" if lane.runs_on_cpu else lane.device
        # A short answer may fall between two samples; then its prefill is included.
        spans = (times[0], times[-1]), (self.t_in, self.ended)
        proofs = [aggregate.proof(samples, *span, lane.name, device, key) for span in spans]
        self._proof = next((proof for proof in proofs if proof.percent is not None), proofs[0])
        if self._request.mode == IN_TURN:  # together, the energy of the other lanes is included
            span = self.t_in, self.ended
            self._energy_j = aggregate.energy_j(samples, *span, key, card=on_a_card(lane))
            self._idle_w = idle_w

    def fail(self, error: PlaygroundError) -> None:
        """End with an error and keep the answer so far; a run that has ended stays as it is."""
        if self.finished:
            return
        unavailable = isinstance(error, Unavailable | PreparationError)
        self.error = error
        self.ended = time.perf_counter_ns() if self.t0 else None
        self.status = "unavailable" if unavailable else "error"

    def skip(self) -> None:
        """End as stopped, before the run has begun."""
        self.finish_reason = self.status = "stopped"

    def view(self) -> LaneView:
        """The figures now. The rate is that of the last second while running, then the average."""
        with self._lock:
            text, times = self._text, list(self._times)
        now = time.perf_counter_ns()
        running = self.status == "running"
        return LaneView(
            text=text,
            tps=metrics.live_tps(times, now) if running else metrics.decode_tps(times),
            ttft_ms=metrics.ttft_ms(self.t_in, times),
            new_tokens=len(times),
            proof=self._proof.text,
            energy_j=self._energy_j,
            j_per_token=metrics.j_per_token(self._energy_j, len(times)),
            idle_w=self._idle_w,
        )

    def record(self) -> Record:
        """The lane's record of docs/design.md; unknown figures are None."""
        lane, loaded = self.lane, self._loaded
        with self._lock:
            text, ids, times = self._text, list(self._ids), list(self._times)
        timings = metrics.timings(self.t0, self.t_in, times)
        weights = Weights.model_validate(self._weights or dict.fromkeys(Weights.model_fields))
        return Record(
            lane=lane.name,
            backend=lane.backend,
            device=lane.device,
            device_used=loaded.get("device_used"),
            device_name=loaded.get("device_name"),
            precision=lane.precision,
            weights=weights,
            library_version=loaded.get("library_version"),
            threads=loaded.get("threads"),
            capacity=loaded.get("capacity"),
            model=self._request.model if lane.needs_model else "none",
            mode=self._request.mode,
            warm=loaded.get("warm"),
            status=self.status,
            text=text,
            token_ids=ids,
            finish_reason=self.finish_reason,
            prompt_tokens=len(self.prompt) or None,
            new_tokens=len(ids),
            load_s=loaded.get("load_s"),
            **dict(timings),
            peak_rss_mb=self._peak_rss_mb,
            bandwidth_gbs=metrics.bandwidth_gbs(weights.read_bytes, timings.decode_tps),
            energy_j=self._energy_j,
            j_per_token=metrics.j_per_token(self._energy_j, len(ids)),
            idle_w=self._idle_w,
            device_busy_pct=self._proof.percent,
            device_proof=self._proof.text,
            started_ns=self.t_in,
            ended_ns=self.ended,
            error=Failure(**self.error.as_dict()) if self.error else None,
        )

    def _add(self, ids: list[int], times: list[int], text: str) -> None:
        with self._lock:
            self._ids += ids
            self._times += times
            self._text += text
        if time.monotonic() - self._memory_read_at > MEMORY_INTERVAL_S:
            self._read_memory()

    def _end(self, reason: str, ended: int | None) -> None:
        self._read_memory()
        self.ended = ended or time.perf_counter_ns()
        self.finish_reason = reason
        self.status = "stopped" if reason == "stopped" else "ok"

    def _read_memory(self) -> None:
        self._memory_read_at = time.monotonic()
        rss = self.host.worker.rss_mb()
        if rss is not None:
            self._peak_rss_mb = max(rss, self._peak_rss_mb or 0.0)
