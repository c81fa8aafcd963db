"""ONNX Runtime GenAI: on the CPU, or on a GPU through DirectML (another package, Windows only)."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backends.base import Adapter, Backend, BackendError, Loaded, Options
from backends.shared import check_prompt, cpu_name, explained

# For a model whose config has a `sliding_window` but no `layer_types` (Phi-3, Mistral), the builder
# of 0.18.0 makes a cache of the window's size, but attention that does not slide: any prompt longer
# than the window fails. Without the window, the cache is as long as prompt and answer need.
NO_WINDOW = {"window_size": 0, "slide_key_value_cache": False, "slide_inputs": False}


class OnnxGenAI(Backend):
    """Decodes step by step, without a thread: `append_tokens` is the prefill."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        kind = device.partition(".")[0]
        if kind not in ("CPU", "DML"):
            raise BackendError(f"ONNX Runtime GenAI has no device {device}.", "Choose CPU or DML.")
        import onnxruntime_genai

        self._genai = onnxruntime_genai
        adapter = self._adapter(device) if kind == "DML" else None
        with explained(model):
            text = (model / "genai_config.json").read_text(encoding="utf-8")
            self._settings: dict[str, Any] = json.loads(text)["model"]
            self._model = onnxruntime_genai.Model(self._config(model, adapter))
        return self._loaded(device, adapter)

    def _adapter(self, device: str) -> Adapter:
        if not self._genai.is_dml_available():
            raise BackendError(
                "This ONNX Runtime GenAI was built without DirectML, so it cannot use the GPU.",
                "On Windows, install onnxruntime-genai-directml instead; elsewhere use the CPU.",
            )
        index = int(device.partition(".")[2] or 0)
        if index >= len(self.adapters):
            raise BackendError(
                f"Windows has no adapter {device} for DirectML.",
                "Choose DML for its first adapter, or use the CPU.",
            )
        return self.adapters[index]

    def _config(self, model: Path, adapter: Adapter | None) -> Any:
        config = self._genai.Config(str(model))
        window = self._settings["decoder"].get("sliding_window") or {}
        # A sliding layer needs a cache of its whole window, however short the answer is (0.18.0).
        self._min_length = window.get("window_size", 0) if window.get("layers") else 0
        if window.get("slide_key_value_cache") is False and not self._min_length:
            config.overlay(json.dumps({"model": {"decoder": {"sliding_window": NO_WINDOW}}}))
        if adapter is None:
            config.clear_providers()
        else:
            config.append_provider("dml")  # keeps the options that the model was built with
            if adapter.luid:  # not by its index, which may count other adapters as well
                config.set_provider_option("dml", "luid", adapter.luid)
        return config

    def _loaded(self, device: str, adapter: Adapter | None) -> Loaded:
        runs_on_cpu = self._model.device_type == "CPU"
        if runs_on_cpu and adapter is not None:
            raise BackendError(
                f"ONNX Runtime GenAI fell back from {device} to the CPU.",
                "Prepare the model for DirectML, or use the CPU lane.",
            )
        # DirectML cannot continue after an end token (SupportsContinuousDecoding, generators.cpp).
        self._can_continue = runs_on_cpu
        settings = self._settings["decoder"].get("session_options", {})
        return Loaded(
            device_used="CPU" if adapter is None else device,
            device_name=cpu_name() if adapter is None else adapter.name,
            library_version=_version(self._genai.__version__),
            threads=settings.get("intra_op_num_threads") if adapter is None else None,
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        check_prompt(prompt, self._settings["vocab_size"])
        context = self._settings["context_length"]
        length = min(len(prompt) + options.max_new_tokens, context)
        if length <= len(prompt):
            raise BackendError(
                f"The prompt has {len(prompt)} tokens; the model's context length is {context}, "
                "answer included.",
                "Shorten the prompt.",
            )
        params = self._genai.GeneratorParams(self._model)
        params.set_search_options(**self._search(options, length))
        generator = self._genai.Generator(self._model, params)
        try:
            generator.append_tokens(list(prompt))
            for left in range(length - len(prompt) - 1, -1, -1):
                generator.generate_next_token()
                token = int(generator.get_next_tokens()[0])
                yield token
                if not left or (token in options.stop_ids and not options.ignore_eos):
                    return
                if generator.is_done():  # by the model's own stop ids, which may not be ours
                    if not self._can_continue:
                        return
                    generator.append_tokens([token])
        finally:
            del generator, params

    def _search(self, options: Options, length: int) -> dict[str, bool | int | float]:
        """Every option that can change an answer: an unset one comes from the model's folder."""
        sample = options.temperature > 0
        return {
            "max_length": max(length, min(self._min_length, self._settings["context_length"])),
            # Forbids stop ids rather than continuing past them: only if nothing else works.
            "min_length": length if options.ignore_eos and not self._can_continue else 0,
            "do_sample": sample,
            "temperature": options.temperature if sample else 1.0,
            "top_p": options.top_p if sample else 1.0,
            # 0.18.0 samples from outside top_p when top_k is 0 (1 in 50 with top_p=0.001).
            "top_k": (options.top_k or self._settings["vocab_size"]) if sample else 1,
            "random_seed": options.seed,
            "repetition_penalty": 1.0,
            "no_repeat_ngram_size": 0,
            "num_beams": 1,
            "num_return_sequences": 1,
        }


def _version(genai: str) -> str:
    try:
        return f"{genai} (onnxruntime {version('onnxruntime')})"
    except PackageNotFoundError:  # DirectML's runtime has another name
        return genai
