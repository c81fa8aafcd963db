"""Intel's NPU Acceleration Library 1.4.0: Transformers with its matrix products on the NPU.

Runs in `.venv-npu`, on transformers 4.47. Without an NPU the library computes on the CPU and only
warns; here that has a name of its own, and a lane called NPU never does.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.base import Backend, BackendError, Loaded, Options
from backends.pytorch import transformers_stream
from backends.shared import cpu_name, explained, trust_remote_code

PRECISIONS = {"NPU": ("int4", "int8", "fp16"), "CPU": ("fp16",)}
DRIVER = {
    "win32": "https://www.intel.com/content/www/us/en/download/794734/",
    "linux": "https://github.com/intel/linux-npu-driver/releases",
}
KINDS = {  # by the type that weights are kept in
    "uint8": "int4 sym, per channel",  # two in a byte
    "int8": "int8 sym, per channel",
    "float16": "fp16",
}
STAND_IN = "The library's stand-in on the CPU: no NPU was found."
COMPILES = "Compiles for each length of prompt: the first prompt of a length starts late."


class NpuLibrary(Backend):
    """What `NPUModelForCausalLM.from_pretrained(…, export=False)` does, with the config mended."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        if precision not in PRECISIONS.get(device, ()):
            raise BackendError(
                f"Intel's NPU library does not run on {device} at {precision}.",
                "Use npu-library:NPU:int4, :int8 or :fp16.",
            )
        library = self._library = _import()
        self._check_device(device)
        _keep_compiled()
        # Layers compiled for a model loaded before hold the addresses of its weights.
        library.backend.runtime.clear_cache()
        with explained(model):
            import torch
            import transformers

            compiled = _load(model, transformers)
            chosen = torch.float16 if precision == "fp16" else getattr(library, precision)
            config = library.compiler.CompilerConfig(dtype=chosen)
            self._model = library.compile(compiled, config)
        versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
        return Loaded(
            device_used=device,
            device_name=cpu_name() if device == "CPU" else _npu_name(),
            library_version=f"{library.__version__.removeprefix('v')} ({versions})",
            notes=(STAND_IN, COMPILES) if device == "CPU" else (COMPILES,),
            weights=_weights_of(self._model),
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Iterator[int]:
        self._forget_other_lengths(len(prompt))
        yield from transformers_stream(self._model, prompt, options)

    def npu_found(self) -> bool:
        """As the library sees it, which decides by it where to compute."""
        return bool(self._library.backend.npu_available())

    def _check_device(self, device: str) -> None:
        found = self.npu_found()
        if device == "NPU" and not found:
            driver = DRIVER.get(sys.platform, DRIVER["linux"])
            raise BackendError(
                "Intel's NPU library finds no NPU on this machine.",
                f"It needs an Intel Core Ultra with the NPU driver: {driver}, then restart.",
            )
        if device == "CPU" and found:
            raise BackendError(
                "This machine has an NPU, and Intel's NPU library would use that, not the CPU.",
                "Use npu-library:NPU:fp16, or pytorch:CPU:fp32 for the CPU.",
            )

    def _forget_other_lengths(self, length: int) -> None:
        """The library keeps what it compiled for every length of prompt, each with room for the
        weights of a whole layer and the lm_head: keep this length and single tokens."""
        compiled = self._library.backend.runtime._model_cache  # "Linear_10_128_x_384_…"
        for name in [*compiled]:
            if name.split("_")[1] not in ("1", str(length)):
                del compiled[name]


def _import() -> Any:
    try:
        import intel_npu_acceleration_library
        import intel_npu_acceleration_library.backend.runtime
    except (ImportError, OSError) as error:  # OSError: a DLL is missing
        traceback.print_exc()
        raise BackendError(
            "Intel's NPU library cannot be imported.",
            "Delete the folder .venv-npu and run: python run.py setup npu.",
        ) from error
    return intel_npu_acceleration_library


def _keep_compiled() -> None:
    """The library writes what it compiles to a folder "cache" wherever the process is."""
    folder = Path(os.environ.get("AIPC_CACHE", ".")) / "npu-library"
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)


def _load(model: Path, transformers: Any) -> Any:
    """The model on the CPU, or BackendError where transformers 4.47 would read it wrongly."""
    known = json.loads((model / "config.json").read_text(encoding="utf-8"))["model_type"]
    if known not in transformers.CONFIG_MAPPING and not trust_remote_code():
        raise _too_new(f"does not know the architecture {known}")
    given = {"local_files_only": True, "trust_remote_code": trust_remote_code()}
    config = transformers.AutoConfig.from_pretrained(str(model), **given)
    _restore_rope(config)
    loader = transformers.AutoModelForCausalLM
    loaded, about = loader.from_pretrained(
        str(model),
        config=config,
        torch_dtype="auto",
        use_safetensors=True,
        output_loading_info=True,
        **given,
    )
    if about["missing_keys"] or about["mismatched_keys"]:  # it would fill them with random numbers
        raise _too_new("does not find all weights in it")
    return loaded


def _restore_rope(config: Any) -> None:
    """transformers 5 writes `rope_parameters`, of which 4.47 reads nothing: it would take a base of
    10,000 and no scaling without a word."""
    rope = dict(getattr(config, "rope_parameters", None) or {})
    if "rope_theta" in rope:
        config.rope_theta = rope.pop("rope_theta")
        config.partial_rotary_factor = rope.pop("partial_rotary_factor", 1.0)
        kind = rope.get("rope_type", "default")
        config.rope_scaling = None if kind == "default" else {**rope, "type": kind}
    reads = inspect.signature(type(config).__init__).parameters
    part = getattr(config, "partial_rotary_factor", 1.0)
    if part != 1.0 and "partial_rotary_factor" not in reads:
        raise _too_new(f"does not know its positions (partial_rotary_factor {part})")


def _too_new(trouble: str) -> BackendError:
    return BackendError(
        f"This model is too new for Intel's NPU library: its transformers 4.47 {trouble}.",
        "Use another lane, such as openvino-genai:NPU:int4, or a model such as Phi-3-mini.",
    )


def _weights_of(model: Any) -> dict[str, str | int | None]:
    """What was really made, as in `Loaded.weights`: the library leaves some layers in fp16."""
    table = model.get_input_embeddings()
    kinds: Counter[str] = Counter()
    read, shared = 0, False
    for module in model.modules():
        weight: Any = getattr(module, "weight", None)
        if weight is None or weight.ndim != 2 or module is table:
            continue
        stored = str(weight.dtype).removeprefix("torch.")
        kinds[KINDS.get(stored, stored)] += weight.numel() * (2 if stored == "uint8" else 1)
        read += weight.nbytes + getattr(module, "scale", weight[:0]).nbytes
        shared = shared or weight.data_ptr() == table.weight.data_ptr()
    (most, _), *others = kinds.most_common()
    rest = [f"{100 * count / kinds.total():.0f} % {kind}" for kind, count in others]
    return {
        "recipe": ", ".join([most, *rest]),
        "bytes": read + (0 if shared else table.weight.nbytes),
        "read_bytes": read,
    }


def _npu_name() -> str:
    """As the OpenVINO that the library brings along tells it."""
    try:
        from openvino import Core

        return str(Core().get_property("NPU", "FULL_DEVICE_NAME"))
    except Exception:  # not a reason not to run
        traceback.print_exc()
        return "Intel NPU"
