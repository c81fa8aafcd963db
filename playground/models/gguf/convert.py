"""Child process: converts a GGUF file into a Hugging Face folder.

transformers reads the weights, tensor by tensor. It is not used for the tokenizer, which is broken
once saved (transformers 5.5: wrong class, spaces become `<|endoftext|>`), and its configuration is
completed by config.py. For a file that cannot be converted faithfully this prints `{"error": code,
"detail": …}` and ends with exit code 1. Usage: python -m playground.models.gguf.convert FILE FOLDER
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground.models.gguf import tokenizer
from playground.models.gguf.config import (
    ROPE_TENSORS,
    Config,
    GgufModel,
    Metadata,
    check_architecture,
    unsupported,
)
from playground.models.gguf.errors import Code, GgufError
from playground.workers.subprocesses import send

if TYPE_CHECKING:
    import numpy
    import torch
    from gguf import GGUFReader, ReaderTensor
    from transformers import PreTrainedModel

# Weights are float32 up to this size, since a dequantised Q4_1 value fits neither bf16 nor fp16.
# Above it, 32 bits take more memory than most machines have: bfloat16, in which such models were
# trained, changes a dequantised value by 0.2 % at most, less than its quantisation did. A file of
# 16-bit floats keeps that type.
LARGE = 1_500_000_000  # parameters


def read(gguf_file: Path) -> GGUFReader:
    """Open the file. Raises GgufError where it is no GGUF file or not whole."""
    import numpy as np
    from gguf import GGUFReader

    class Reader(GGUFReader):
        """Reads a plain array instead of a memory map, which is three times as fast."""

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value.view(np.ndarray) if name == "data" else value)

    with gguf_file.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise GgufError(Code.NOT_GGUF, gguf_file.name)
    try:
        return Reader(gguf_file)
    except Exception as error:  # whatever numpy and Python raise on damaged data
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise GgufError(Code.DAMAGED, gguf_file.name) from None


def metadata_of(reader: GGUFReader) -> Metadata:
    """The file's key-value pairs."""
    return {name: field.contents() for name, field in reader.fields.items()}


def check_supported(metadata: Metadata, name: str) -> None:
    """Raise GgufError for a part of a model, an unknown architecture or an unknown tokenizer."""
    if metadata.get("split.count", 1) > 1:
        raise GgufError(Code.SPLIT_FILE, f"{name}, of {metadata['split.count']}")
    check_architecture(metadata)
    tokenizer.check_supported(metadata)


def configuration(gguf_file: Path, metadata: Metadata, tensors: Sequence[ReaderTensor]) -> Config:
    """The model's configuration, in the fields of its class in transformers."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    partial: Config = load_gguf_checkpoint(str(gguf_file))["config"]  # type: ignore[no-untyped-call]
    mapped: Any = GGUF_CONFIG_MAPPING[str(partial["model_type"]).removesuffix("_text")]
    model = GgufModel(metadata, {tensor.name: tensor.data for tensor in tensors})
    return model.config(partial, mapped)


def save_weights(
    tensors: Sequence[ReaderTensor], architecture: str, config: Config, folder: Path
) -> None:
    """Write weights and config.json, with at most one tensor at a time in 32 bits."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        whole = AutoConfig.for_model(**copy.deepcopy(config))
        model = AutoModelForCausalLM.from_config(whole, dtype=dtype_of(tensors))  # type: ignore[no-untyped-call]
    state = convert_tensors(tensors, architecture, config, model)
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            if value.is_meta and name == "bias":  # not in the file: the same as zeros
                module.bias = torch.nn.Parameter(torch.zeros(value.shape, dtype=value.dtype))
    for name, value in model.state_dict().items():
        if value.is_meta:
            raise unsupported(f"no tensor for {name}")
    model.save_pretrained(folder)


def convert_tensors(
    tensors: Sequence[ReaderTensor], architecture: str, config: Config, model: PreTrainedModel
) -> dict[str, torch.Tensor]:
    """The tensors under transformers' names and in its layouts, as `load_gguf_checkpoint` does."""
    import torch
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    processor: Any = TENSOR_PROCESSORS.get(architecture, TensorProcessor)
    processor = processor(config=config)
    names = get_gguf_hf_weights_map(model, processor, model_type=architecture)
    expected = model.state_dict()
    state: dict[str, torch.Tensor] = {}
    for tensor in tensors:
        if tensor.name in ROPE_TENSORS:
            continue
        result = processor.process(
            dequantise(tensor),
            tensor.name,
            tensor_key_mapping=names,
            parsed_parameters={"tensors": state},
        )
        if result.name not in names:
            raise unsupported(f"the tensor {tensor.name}")
        name = names[result.name]
        if name in expected and result.weights.shape != tuple(expected[name].shape):
            raise unsupported(f"the shape of {name}")
        state[name] = torch.tensor(result.weights, dtype=model.dtype)
    return state


def dequantise(tensor: ReaderTensor) -> numpy.ndarray:
    """The tensor's values as 32-bit floats."""
    from gguf import dequantize

    try:
        return dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError:
        raise unsupported(f"weights of the type {tensor.tensor_type.name}") from None


def dtype_of(tensors: Sequence[ReaderTensor]) -> torch.dtype:
    """The type in which the weights are written: see LARGE."""
    import torch

    if sum(tensor.n_elements for tensor in tensors) < LARGE:
        return torch.float32
    types = {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1}
    return torch.float16 if types == {"F16"} else torch.bfloat16


def finish_configs(metadata: Metadata, config: Config, folder: Path) -> None:
    """Add token ids, and rotary embeddings where both old and new transformers look for them."""
    token_ids = tokenizer.named_ids(metadata)
    names = {"bos": "bos", "eos": "eos", "pad": "padding"}
    ids: Config = {f"{n}_token_id": token_ids[key] for n, key in names.items() if key in token_ids}
    path = folder / "config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved.pop("_name_or_path", None)
    saved |= ids
    rope = saved["rope_parameters"]
    if "rope_theta" in rope:  # otherwise there is one set for each type of layer
        saved["rope_parameters"] = {"rope_type": "default", **rope}
    saved["rope_theta"] = (rope.get("full_attention") or rope)["rope_theta"]
    old = ("partial_rotary_factor", "rope_scaling", "original_max_position_embeddings")
    saved |= {name: config[name] for name in old if name in config}
    write_json(path, saved)
    # No sampling defaults: a model's own must not make one engine's greedy answer differ.
    stop_ids = tokenizer.stop_ids(metadata)
    if len(stop_ids) > 1:
        ids["eos_token_id"] = stop_ids
    write_json(folder / "generation_config.json", ids)


def write_json(path: Path, value: Config) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(gguf_file: Path, folder: Path) -> None:
    """Raises GgufError where the file cannot be converted faithfully."""
    reader = read(gguf_file)
    metadata = metadata_of(reader)
    check_supported(metadata, gguf_file.name)
    config = configuration(gguf_file, metadata, reader.tensors)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(reader.tensors, metadata["general.architecture"], config, folder)
    tokenizer.write(metadata, folder)
    finish_configs(metadata, config, folder)


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except GgufError as error:
        send({"error": error.code.name, "detail": error.detail})
        sys.exit(1)
