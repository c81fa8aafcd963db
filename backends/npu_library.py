"""Intel's NPU Acceleration Library 1.4.0: Transformers with its matrix products on the NPU.

Runs in `.venv-npu`, on transformers 4.47. Without an NPU the library computes on the CPU and only
warns; here that is a device of its own, "CPU", and the device "NPU" is refused.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from backends import ENGINES
from backends.base import Backend, BackendError, Loaded, LoadedWeights, Options
from backends.pytorch import transformers_stream
from backends.shared import cpu_name, explained, trust_remote_code

DRIVER = {
    "win32": "https://www.intel.com/content/www/us/en/download/794734/",
    "linux": "https://github.com/intel/linux-npu-driver/releases",
}
RECIPES = {  # by the type that stores the weights
    "uint8": "int4 sym, per channel",  # two weights in a byte
    "int8": "int8 sym, per channel",
    "float16": "fp16",
}
ON_CPU = "No NPU was found: the library computes on the CPU instead."
COMPILES = "Compiles for each prompt length: the first prompt of a length starts late."


class NpuLibrary(Backend):
    """`NPUModelForCausalLM.from_pretrained(…, export=False)`, step by step, with config repairs."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        support = ENGINES["npu-library"].devices.get(device)
        if support is None or precision not in support.precisions:
            raise BackendError(
                f"Intel's NPU library does not run on {device} at {precision}.",
                "Use npu-library:NPU:int4, :int8 or :fp16.",
            )
        library = self._library = _import()
        self._check_device(device)
        _keep_compiled()
        # Layers compiled for the previous model hold the addresses of its weights.
        library.backend.runtime.clear_cache()
        with explained(model):
            import torch
            import transformers

            dtype = torch.float16 if precision == "fp16" else getattr(library, precision)
            config = library.compiler.CompilerConfig(dtype=dtype)
            self._model = library.compile(_load(model, transformers), config)
        versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
        return Loaded(
            device_used=device,
            device_name=cpu_name() if device == "CPU" else _npu_name(),
            library_version=f"{library.__version__.removeprefix('v')} ({versions})",
            notes=(ON_CPU, COMPILES) if device == "CPU" else (COMPILES,),
            weights=_weights_of(self._model),
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        self._forget_other_lengths(len(prompt))
        yield from transformers_stream(self._model, prompt, options)

    def npu_found(self) -> bool:
        """Whether the library finds an NPU, and so computes on it."""
        return bool(self._library.backend.npu_available())

    def _check_device(self, device: str) -> None:
        npu_found = self.npu_found()
        if device == "NPU" and not npu_found:
            driver = DRIVER.get(sys.platform, DRIVER["linux"])
            raise BackendError(
                "Intel's NPU library finds no NPU on this machine.",
                f"It needs an Intel Core Ultra with the NPU driver: {driver}, then restart.",
            )
        if device == "CPU" and npu_found:
            raise BackendError(
                "This machine has an NPU, and Intel's NPU library would use that, not the CPU.",
                "Use npu-library:NPU:fp16, or pytorch:CPU:fp32 for the CPU.",
            )

    def _forget_other_lengths(self, length: int) -> None:
        """Drop layers compiled for other prompt lengths, but not for single tokens: for each
        length, the library would keep memory for the weights of a whole layer and the lm_head."""
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
    """Change to a folder of ours: the library writes compiled models to ./cache."""
    folder = Path(os.environ.get("AIPC_CACHE", ".")) / "npu-library"
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)


def _load(model: Path, transformers: Any) -> Any:
    """Load the model on the CPU. Raises BackendError if transformers 4.47 would misread it."""
    architecture = json.loads((model / "config.json").read_text(encoding="utf-8"))["model_type"]
    if architecture not in transformers.CONFIG_MAPPING and not trust_remote_code():
        raise _too_new(f"does not support the architecture {architecture}")
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code()}
    config = transformers.AutoConfig.from_pretrained(str(model), **options)
    _restore_rope(config)
    loader = transformers.AutoModelForCausalLM
    loaded, report = loader.from_pretrained(
        str(model),
        config=config,
        torch_dtype="auto",
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    if report["missing_keys"] or report["mismatched_keys"]:  # they would get random values
        raise _too_new("does not find all of its weights")
    return loaded


def _restore_rope(config: Any) -> None:
    """Translate the `rope_parameters` of transformers 5, which 4.47 ignores: it would silently use
    a base of 10,000 and no scaling."""
    rope = dict(getattr(config, "rope_parameters", None) or {})
    if "rope_theta" in rope:
        config.rope_theta = rope.pop("rope_theta")
        config.partial_rotary_factor = rope.pop("partial_rotary_factor", 1.0)
        kind = rope.get("rope_type", "default")
        config.rope_scaling = None if kind == "default" else {**rope, "type": kind}
    fields = inspect.signature(type(config).__init__).parameters
    factor = getattr(config, "partial_rotary_factor", 1.0)
    if factor != 1.0 and "partial_rotary_factor" not in fields:
        raise _too_new(f"does not support its partial_rotary_factor of {factor}")


def _too_new(trouble: str) -> BackendError:
    return BackendError(
        f"This model is too new for Intel's NPU library: its transformers 4.47 {trouble}.",
        "Use another lane, such as openvino-genai:NPU:int4, or a model such as Phi-3-mini.",
    )


def _weights_of(model: Any) -> LoadedWeights:
    """The weights in memory: the library leaves some layers in fp16."""
    table = model.get_input_embeddings()
    recipes: Counter[str] = Counter()
    read, shared = 0, False
    for module in model.modules():
        weight: Any = getattr(module, "weight", None)
        if weight is None or weight.ndim != 2 or module is table:
            continue
        stored = str(weight.dtype).removeprefix("torch.")
        recipes[RECIPES.get(stored, stored)] += weight.numel() * (2 if stored == "uint8" else 1)
        read += weight.nbytes + getattr(module, "scale", weight[:0]).nbytes
        shared = shared or weight.data_ptr() == table.weight.data_ptr()
    (main, _), *others = recipes.most_common()
    rest = [f"{100 * count / recipes.total():.0f} % {recipe}" for recipe, count in others]
    return {
        "recipe": ", ".join([main, *rest]),
        "bytes": read + (0 if shared else table.weight.nbytes),
        "read_bytes": read,
    }


def _npu_name() -> str:
    """The name from the OpenVINO that the library depends on."""
    try:
        from openvino import Core

        return str(Core().get_property("NPU", "FULL_DEVICE_NAME"))
    except Exception:  # only the name is missing
        traceback.print_exc()
        return "Intel NPU"
