"""PyTorch with Hugging Face Transformers, the reference for all other engines."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import Backend, BackendError, Loaded, LoadedWeights, Options
from backends.shared import Emit, check_prompt, cpu_name, explained, stream, trust_remote_code

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig


class PyTorch(Backend):
    """`AutoModelForCausalLM` without changes; on the CPU in 32-bit floats."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        with explained(model):
            import torch
            import transformers

            target = torch_device(torch, device, precision)
            loader: Any = transformers.AutoModelForCausalLM
            dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
            self._model = loader.from_pretrained(
                str(model),
                dtype=dtype[precision],
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=trust_remote_code(),
            ).eval()
            self._model.to(target)
        used = self._model.device
        kind = str(used.type).upper()
        on_cpu = kind == "CPU"
        return Loaded(
            device_used=kind if on_cpu else f"{kind}.{used.index or 0}",
            device_name=cpu_name()
            if on_cpu
            else getattr(torch, used.type).get_device_name(used.index),
            library_version=f"{torch.__version__} (transformers {transformers.__version__})",
            threads=torch.get_num_threads() if on_cpu else None,
            weights=weights_of(self._model, precision),
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        return transformers_stream(self._model, prompt, options)


def torch_device(torch: Any, device: str, precision: str) -> Any:
    """The torch.device of a lane's device. Raises BackendError if this torch cannot use it."""
    kind, _, index = device.partition(".")
    if kind == "CPU" and precision == "fp32":
        return torch.device("cpu")
    if kind in ("CUDA", "XPU") and precision in ("fp16", "bf16"):
        module = getattr(torch, kind.lower(), None)
        if module is not None and module.is_available() and int(index or 0) < module.device_count():
            return torch.device(kind.lower(), int(index or 0))
        raise BackendError(
            f"This PyTorch ({torch.__version__}) finds no device {device}.",
            "Install the PyTorch build for it (pytorch.org), or use pytorch:CPU:fp32.",
        )
    raise BackendError(
        f"The PyTorch lane does not run on {device} at {precision}.", "Use pytorch:CPU:fp32."
    )


def weights_of(model: Any, recipe: str) -> LoadedWeights:
    """The weights in memory, which may differ from the folder's. A token does not read an untied
    table of embeddings: it looks up one row."""
    sizes = {weight.data_ptr(): weight.nbytes for weight in model.parameters()}
    embeddings = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    tied = head is not None and head.weight.data_ptr() == embeddings.data_ptr()
    total = sum(sizes.values())
    read = total - (0 if tied else embeddings.nbytes)
    return {"recipe": recipe, "bytes": total, "read_bytes": read}


def transformers_stream(model: Any, prompt: Sequence[int], options: Options) -> Generator[int]:
    """Yield the ids of `model.generate`, for any model with the interface of Transformers."""
    import torch

    check_prompt(prompt, model.config.get_text_config().vocab_size)

    def work(emit: Emit) -> None:
        streamer = _Streamer(emit)
        torch.manual_seed(options.seed)
        with torch.inference_mode():
            ids = torch.tensor([prompt], device=model.device)
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=_config(model, options),
                streamer=streamer,
                stopping_criteria=[lambda *_, **__: torch.tensor([not streamer.proceed])],
            )

    yield from stream(work)


class _Streamer:
    """Called by `generate`: first with the prompt, then with each new id."""

    def __init__(self, emit: Emit) -> None:
        self.proceed = True
        self._emit = emit
        self._prompt_seen = False

    def put(self, value: Tensor) -> None:
        if self._prompt_seen:
            self.proceed = self._emit(int(value.item()))
        self._prompt_seen = True

    def end(self) -> None:
        pass


def _config(model: Any, options: Options) -> GenerationConfig:
    """A config without any default of the model's. `generate` would add these to a given config
    (GenerationMixin._prepare_generation_config), so the model's own config is replaced too."""
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    sampling: dict[str, float] = {"do_sample": False}
    if options.temperature > 0:
        sampling = {
            "do_sample": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
        }
    stops = None if options.ignore_eos else list(options.stop_ids) or None
    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=options.max_new_tokens,
        eos_token_id=stops,
        pad_token_id=0,  # unused in a batch of one, but without it each call warns
        num_beams=1,
        repetition_penalty=1.0,
        use_cache=True,
        **sampling,
    )
