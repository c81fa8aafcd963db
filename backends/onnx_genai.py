"""ONNX Runtime GenAI: on the CPU, and on a GPU through DirectML (Windows, a package of its own)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backends.base import Backend, BackendError, Loaded, Options
from backends.shared import check_prompt, cpu_name, explained
from playground.devices.hardware import directml_adapters
from playground.devices.records import Device

# 0.18.0's builder gives a model whose config has a `sliding_window` but no `layer_types` (Phi-3,
# Mistral) a cache of that size, and the graph attention that does not slide: any prompt beyond the
# window then fails. Without the window the cache has all the room that an answer asks for.
NO_WINDOW = {"window_size": 0, "slide_key_value_cache": False, "slide_inputs": False}


class OnnxGenAI(Backend):
    """Its own step-by-step loop needs no thread: `append_tokens` is the prefill, then steps."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        kind = device.partition(".")[0]
        if kind not in ("CPU", "DML"):
            raise BackendError(
                f"ONNX Runtime GenAI has no device {device} here.", "Choose CPU or DML."
            )
        import onnxruntime_genai

        self._og = onnxruntime_genai
        adapter = self._adapter(device) if kind == "DML" else None
        with explained(model):
            text = (model / "genai_config.json").read_text(encoding="utf-8")
            self._about: dict[str, Any] = json.loads(text)["model"]
            self._model = onnxruntime_genai.Model(self._config(model, adapter))
        return self._loaded(device, adapter)

    def _adapter(self, device: str) -> Device:
        if not self._og.is_dml_available():
            raise BackendError(
                "This ONNX Runtime GenAI was built without DirectML, so it cannot use the GPU.",
                "On Windows, install onnxruntime-genai-directml instead; elsewhere use the CPU.",
            )
        found, index = directml_adapters(), int(device.partition(".")[2] or 0)
        if index >= len(found):
            raise BackendError(
                f"Windows has no adapter {device} for DirectML.",
                "Choose DML for the first of its adapters, or use the CPU.",
            )
        return found[index]

    def _config(self, model: Path, adapter: Device | None) -> Any:
        config = self._og.Config(str(model))
        window = self._about["decoder"].get("sliding_window") or {}
        # A layer that slides wants room for its whole window, whatever is asked for (0.18.0).
        self._least_room = window.get("window_size", 0) if window.get("layers") else 0
        if window.get("slide_key_value_cache") is False and not self._least_room:
            config.overlay(json.dumps({"model": {"decoder": {"sliding_window": NO_WINDOW}}}))
        if adapter is None:
            config.clear_providers()
        else:
            config.append_provider("dml")  # keeps the options the model was built with
            if adapter.luid:  # by its identity: an index may count others than we do
                config.set_provider_option("dml", "luid", adapter.luid)
        return config

    def _loaded(self, device: str, adapter: Device | None) -> Loaded:
        runs_on_cpu = self._model.device_type == "CPU"
        if runs_on_cpu and adapter is not None:
            raise BackendError(
                f"ONNX Runtime GenAI fell back from {device} to the CPU.",
                "Prepare the model for DirectML, or use the CPU lane.",
            )
        # DirectML cannot go on after an end-of-text (SupportsContinuousDecoding, generators.cpp).
        self._resumes = runs_on_cpu
        settings = self._about["decoder"].get("session_options", {})
        return Loaded(
            device_used="CPU" if adapter is None else device,
            device_name=cpu_name() if adapter is None else adapter.full_name,
            library_version=_version(self._og.__version__),
            threads=settings.get("intra_op_num_threads") if adapter is None else None,
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Iterator[int]:
        check_prompt(prompt, self._about["vocab_size"])
        room = min(len(prompt) + options.max_new_tokens, self._about["context_length"])
        if room <= len(prompt):
            raise BackendError(
                f"The prompt has {len(prompt)} tokens; the model has room for "
                f"{self._about['context_length']}, answer included.",
                "Shorten the prompt.",
            )
        params = self._og.GeneratorParams(self._model)
        params.set_search_options(**self._search(options, room))
        generator = self._og.Generator(self._model, params)
        try:
            generator.append_tokens(list(prompt))
            for left in range(room - len(prompt) - 1, -1, -1):
                generator.generate_next_token()
                token = int(generator.get_next_tokens()[0])
                yield token
                if not left or (token in options.stop_ids and not options.ignore_eos):
                    return
                if generator.is_done():  # the model's own list of ends, which is not ours
                    if not self._resumes:
                        return
                    generator.append_tokens([token])
        finally:
            del generator, params

    def _search(self, options: Options, room: int) -> dict[str, Any]:
        """Every option that can change an answer: unset ones come from the model's folder."""
        sample = options.temperature > 0
        return {
            "max_length": max(room, min(self._least_room, self._about["context_length"])),
            # It bans the ends rather than going past them: only where nothing else can.
            "min_length": room if options.ignore_eos and not self._resumes else 0,
            "do_sample": sample,
            "temperature": options.temperature if sample else 1.0,
            "top_p": options.top_p if sample else 1.0,
            # 0.18.0 draws from outside top_p when top_k is 0 (1 in 50 with top_p=0.001).
            "top_k": (options.top_k or self._about["vocab_size"]) if sample else 1,
            "random_seed": options.seed,
            "repetition_penalty": 1.0,
            "no_repeat_ngram_size": 0,
            "num_beams": 1,
            "num_return_sequences": 1,
        }


def _version(genai: str) -> str:
    try:
        return f"{genai} (onnxruntime {version('onnxruntime')})"
    except PackageNotFoundError:  # with DirectML the runtime is another package
        return genai
