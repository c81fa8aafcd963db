"""PyTorch with Hugging Face Transformers, the reference the others are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.base import Backend, BackendError, Loaded, Options
from backends.shared import Emit, check_prompt, cpu_name, explained, stream


class PyTorch(Backend):
    """`AutoModelForCausalLM` as it comes, in 32-bit floats on the CPU."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        if (device, precision) != ("CPU", "fp32"):
            raise BackendError(
                f"The PyTorch lane does not run on {device} at {precision}.",
                "Use pytorch:CPU:fp32.",
            )
        with explained(model):
            import torch
            import transformers

            loader = transformers.AutoModelForCausalLM
            self._model = loader.from_pretrained(
                str(model), dtype=torch.float32, local_files_only=True
            ).eval()
        return Loaded(
            device_used=str(self._model.device.type).upper(),
            device_name=cpu_name(),
            library_version=f"{torch.__version__} (transformers {transformers.__version__})",
            threads=torch.get_num_threads(),
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Iterator[int]:
        return transformers_stream(self._model, prompt, options)


def transformers_stream(model: Any, prompt: Sequence[int], options: Options) -> Iterator[int]:
    """The ids of `model.generate`, as they appear. Of any model with Transformers' interface."""
    import torch

    check_prompt(prompt, model.config.get_text_config().vocab_size)

    def work(emit: Emit) -> None:
        streamer = _Streamer(emit)
        torch.manual_seed(options.seed)
        with torch.inference_mode():
            ids = torch.tensor([prompt])
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=_config(model, options),
                streamer=streamer,
                stopping_criteria=[lambda *_, **__: torch.tensor([not streamer.wanted])],
            )

    yield from stream(work)


class _Streamer:
    """What `generate` calls: first with the prompt, then with each id."""

    def __init__(self, emit: Emit) -> None:
        self.wanted = True
        self._emit = emit
        self._prompt_seen = False

    def put(self, value: Any) -> None:
        if self._prompt_seen:
            self.wanted = self._emit(int(value.item()))
        self._prompt_seen = True

    def end(self) -> None:
        pass


def _config(model: Any, options: Options) -> Any:
    """A config that is ours alone: `generate` fills what a given one leaves open from the
    model's (GenerationMixin._prepare_generation_config), so the model's is emptied too."""
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig()
    sampling: dict[str, Any] = {"do_sample": False}
    if options.temperature > 0:
        sampling = {
            "do_sample": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
        }
    stops = None if options.ignore_eos else list(options.stop_ids) or None
    return GenerationConfig(
        max_new_tokens=options.max_new_tokens,
        eos_token_id=stops,
        pad_token_id=0,  # never used in a batch of one; unset, a warning says so each time
        num_beams=1,
        repetition_penalty=1.0,
        use_cache=True,
        **sampling,
    )
