"""OpenVINO GenAI: `LLMPipeline` on the CPU, the GPU and the NPU."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from backends.base import Backend, BackendError, Loaded, Options
from backends.shared import (
    OPENVINO_CPU,
    Emit,
    cached_files,
    check_prompt,
    compile_cache,
    explained,
    openvino_device_name,
    stream,
)

# The NPU's pipeline with its static shapes, computed on the CPU: slow, but it works on a machine
# without an NPU.
NPU_ON_CPU = "NPU-on-CPU"
NPU_ON_CPU_PROPERTIES = {
    "NPU_USE_NPUW": "YES",
    "NPUW_DEVICES": "CPU",
    "NPUW_ONLINE_PIPELINE": "NONE",
}
# Its capacity is MAX_PROMPT_LEN + MIN_RESPONSE_LEN tokens for prompt and answer together; a shorter
# prompt leaves more of it to the answer.
MIN_ANSWER_TOKENS = 64


class OpenVinoGenAI(Backend):
    """Takes ids as `TokenizedInputs`; a streamer receives each new id."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        import openvino
        import openvino_genai

        self._openvino, self._genai = openvino, openvino_genai
        used = "CPU" if device == NPU_ON_CPU else device
        name = openvino_device_name(openvino.Core(), used)
        static = device.startswith("NPU")
        self._capacity = capacity if static else None
        self._max_prompt = max(capacity - MIN_ANSWER_TOKENS, 1) if static else None
        cache = compile_cache(device)
        cached_before = cached_files(cache)
        with explained(model):
            self._vocabulary = vocabulary(model)
            target = "NPU" if device == NPU_ON_CPU else device
            properties = self._properties(device)
            if cache:
                properties["CACHE_DIR"] = str(cache)
            self._pipeline = openvino_genai.LLMPipeline(str(model), target, **properties)
        self._streamer = _streamer_class(openvino_genai)
        notes = ["The NPU's pipeline, computed on the CPU."] if device == NPU_ON_CPU else []
        if cached_files(cache) - cached_before:
            notes.append("Compiled during this load; the next load uses the cache.")
        return Loaded(
            device_used=used,
            device_name=name,
            library_version=openvino_genai.__version__,
            notes=tuple(notes),
            capacity=self._capacity,
            max_prompt=self._max_prompt,
        )

    def _properties(self, device: str) -> dict[str, Any]:
        if self._max_prompt:
            shape = {"MAX_PROMPT_LEN": self._max_prompt, "MIN_RESPONSE_LEN": MIN_ANSWER_TOKENS}
            return shape | (NPU_ON_CPU_PROPERTIES if device == NPU_ON_CPU else {})
        # LLMPipeline's own defaults (get_latency_oriented_scheduler_config in its utils.cpp), but
        # without the prefix cache, which spares a repeated prompt its prefill.
        scheduler = self._genai.SchedulerConfig()
        scheduler.max_num_batched_tokens = 2**63 - 1
        scheduler.enable_prefix_caching = False
        precision = OPENVINO_CPU if device.startswith("CPU") else {}
        return {"scheduler_config": scheduler, **precision}

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        import numpy as np

        check_prompt(prompt, self._vocabulary)
        if self._max_prompt and len(prompt) > self._max_prompt:
            raise BackendError(
                f"The prompt has {len(prompt):,} tokens; the NPU's pipeline was loaded for up to "
                f"{self._max_prompt:,}.",
                "Shorten the prompt.",
            )
        ids = np.array([prompt], dtype=np.int64)
        tensor = self._openvino.Tensor
        inputs = self._genai.TokenizedInputs(tensor(ids), tensor(np.ones_like(ids)))
        config = self._config(options)
        if self._capacity:  # the pipeline rounds it up to blocks of 64
            config.max_new_tokens = min(options.max_new_tokens, self._capacity - len(prompt))

        def work(emit: Emit) -> None:
            self._pipeline.generate(inputs, config, self._streamer(emit))

        yield from stream(work)

    def _config(self, options: Options) -> Any:
        """A new config, not the model's. Without stop ids, the pipeline would use the model's."""
        config = self._genai.GenerationConfig()
        config.max_new_tokens = options.max_new_tokens
        config.ignore_eos = options.ignore_eos or not options.stop_ids
        if options.stop_ids:
            config.eos_token_id = options.stop_ids[0]
            config.stop_token_ids = set(options.stop_ids)
        config.do_sample = options.temperature > 0
        if config.do_sample:
            config.temperature = options.temperature
            config.top_p = options.top_p
            config.top_k = options.top_k
            config.rng_seed = options.seed
        config.repetition_penalty = 1.0
        config.presence_penalty = config.frequency_penalty = 0.0
        return config


def vocabulary(model: Path) -> int | None:
    """The number of token ids, from the folder's config.json; None if it has none."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return int(size) if size else None


def _streamer_class(genai: Any) -> Any:
    """A class of streamers, called from the engine's own thread, on the NPU within its loop."""

    class Streamer(genai.StreamerBase):  # type: ignore[misc]
        def __init__(self, emit: Emit) -> None:
            super().__init__()
            self._emit = emit

        def write(self, token: int | list[int]) -> Any:
            tokens = [token] if isinstance(token, int) else token
            proceed = [self._emit(token) for token in tokens]
            status = genai.StreamingStatus
            return status.RUNNING if all(proceed) else status.CANCEL

        def end(self) -> None:
            pass

    return Streamer
