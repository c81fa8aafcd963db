"""Optimum Intel: the interface of Transformers, with the model run by OpenVINO."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from importlib.metadata import version
from pathlib import Path

from backends.base import Backend, Loaded, Options
from backends.pytorch import transformers_stream
from backends.shared import OPENVINO_CPU, explained, openvino_device_name

# Without a cache, each load on the GPU compiles again.
OV_CONFIG = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "CACHE_DIR": ""}


class OpenVinoOptimum(Backend):
    """`OVModelForCausalLM`; Transformers samples in PyTorch."""

    def load(self, model: Path, device: str, precision: str, capacity: int) -> Loaded:
        import openvino

        core = openvino.Core()
        openvino_device_name(core, device)  # checks the device before a slow import
        config = OV_CONFIG | (OPENVINO_CPU if device.startswith("CPU") else {})
        with explained(model):
            if not (model / "openvino_model.xml").is_file():  # or else it would start a conversion
                raise FileNotFoundError(model / "openvino_model.xml")
            from optimum.intel import OVModelForCausalLM

            self._model = OVModelForCausalLM.from_pretrained(
                str(model), export=False, device=device, ov_config=config
            )
        compiled = self._model.request.get_compiled_model()
        devices = list(compiled.get_property("EXECUTION_DEVICES"))
        supported = compiled.get_property("SUPPORTED_PROPERTIES")
        threads = "INFERENCE_NUM_THREADS" in supported
        return Loaded(
            device_used=", ".join(devices),
            device_name=openvino_device_name(core, devices[0]),
            library_version=f"{version('optimum-intel')} (openvino {version('openvino')})",
            threads=int(compiled.get_property("INFERENCE_NUM_THREADS")) if threads else None,
        )

    def generate(self, prompt: Sequence[int], options: Options) -> Generator[int]:
        return transformers_stream(self._model, prompt, options)
