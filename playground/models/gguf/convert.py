"""Child process: one GGUF file becomes a Hugging Face folder.

transformers reads the weights, tensor by tensor; its tokenizer made from GGUF is broken once saved
(transformers 5.5: wrong class, spaces become `<|endoftext|>`), and its configuration lacks what
config.py puts in. For a file that cannot be converted faithfully it prints `{"error": code,
"detail": …}` and ends with exit code 1. Usage: python -m playground.models.gguf.convert FILE FOLDER
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

from playground.models.gguf import config as gguf_config
from playground.models.gguf import tokenizer as gguf_tokenizers
from playground.models.gguf.config import ROPE_TENSORS, Described, not_understood
from playground.models.gguf.errors import GgufError

# Weights are float32 up to here, since a dequantised Q4_1 value fits neither bf16 nor fp16. Above,
# 32 bits take more memory than most machines have: bfloat16, in which such models were trained,
# moves a dequantised value by 0.2 % at most, less than its quantisation did. A file of 16-bit
# floats keeps its own kind.
LARGE = 1_500_000_000  # parameters


def read(gguf_file: Path) -> Any:
    """gguf's reader, three times as fast over a plain array as over its own memory map."""
    import numpy as np
    from gguf import GGUFReader

    class Reader(GGUFReader):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value.view(np.ndarray) if name == "data" else value)

    with gguf_file.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise GgufError("not-gguf", gguf_file.name)
    try:
        return Reader(gguf_file)
    except Exception as error:  # numpy's and Python's own, wherever the bytes end or make no sense
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise GgufError("damaged", gguf_file.name) from None


def metadata(reader: Any) -> dict[str, Any]:
    """The file's key-value pairs."""
    return {name: field.contents() for name, field in reader.fields.items()}


def refuse_unknown(meta: dict[str, Any], name: str) -> None:
    """Raises GgufError for a part of a model, an unknown architecture or an unknown tokenizer."""
    if meta.get("split.count", 1) > 1:
        raise GgufError("split-file", f"{name}, of {meta['split.count']}")
    gguf_config.refuse_unknown(meta)
    gguf_tokenizers.refuse_unknown(meta)


def configuration(gguf_file: Path, meta: dict[str, Any], tensors: list[Any]) -> dict[str, Any]:
    """Every field that the file tells of, for the configuration class of its architecture."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    found = load_gguf_checkpoint(str(gguf_file))["config"]
    mapped: Any = GGUF_CONFIG_MAPPING[str(found["model_type"]).removesuffix("_text")]
    return Described(meta, {t.name: t.data for t in tensors}).complete(found, mapped)


def save_weights(tensors: list[Any], architecture: str, config: dict[str, Any], to: Path) -> None:
    """Weights and config.json; no more than one tensor at a time is in 32 bits on the way."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        whole = AutoConfig.for_model(**copy.deepcopy(config))
        model = AutoModelForCausalLM.from_config(whole, dtype=dtype(tensors))
    model.load_state_dict(converted(tensors, architecture, config, model), False, assign=True)
    model.tie_weights()
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            if value.is_meta and name == "bias":  # none in the file, which is the same as zeros
                module.bias = torch.nn.Parameter(torch.zeros(value.shape, dtype=value.dtype))
    for name, value in model.state_dict().items():
        if value.is_meta:
            raise not_understood(f"no tensor for {name}")
    model.save_pretrained(to)


def converted(
    tensors: list[Any], architecture: str, config: dict[str, Any], model: Any
) -> dict[str, Any]:
    """transformers' names and layouts of the tensors (as its `load_gguf_checkpoint` does it)."""
    import torch
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config)
    names = get_gguf_hf_weights_map(model, processor, model_type=architecture)
    made: dict[str, Any] = {}
    parsed = {"tensors": made}  # where parts of one tensor are put together
    for tensor in tensors:
        if tensor.name in ROPE_TENSORS:
            continue
        done = processor.process(
            dequantised(tensor), tensor.name, tensor_key_mapping=names, parsed_parameters=parsed
        )
        if done.name in names:
            made[names[done.name]] = torch.tensor(done.weights, dtype=model.dtype)
        elif done.name is not None:
            raise not_understood(f"the tensor {tensor.name}")
    for name, wanted in model.state_dict().items():
        if name in made and made[name].numel() != wanted.numel():
            raise not_understood(f"the shape of {name}")
        if name in made:  # 1 × n where transformers makes it 1 × 1 × n
            made[name] = made[name].to(model.dtype).reshape(wanted.shape)
    return made


def dequantised(tensor: Any) -> Any:
    from gguf import dequantize

    try:
        return dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError:
        raise not_understood(f"weights of the type {tensor.tensor_type.name}") from None


def dtype(tensors: list[Any]) -> Any:
    import torch

    if sum(tensor.n_elements for tensor in tensors) < LARGE:
        return torch.float32
    kinds = {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1}
    return torch.float16 if kinds == {"F16"} else torch.bfloat16


def finish_configs(meta: dict[str, Any], made: dict[str, Any], folder: Path) -> None:
    """Token ids from the file; rotary embeddings where both old and new transformers look."""
    architecture, found = meta["general.architecture"], gguf_tokenizers.named_ids(meta)
    names = {"bos": "bos", "eos": "eos", "pad": "padding"}
    ids: dict[str, Any] = {f"{n}_token_id": found[key] for n, key in names.items() if key in found}
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    config |= ids
    if rope := config.get("rope_parameters"):
        if "rope_theta" in rope:  # and not one set for each type of layer
            config["rope_parameters"] = {"rope_type": "default", **rope}
        config["rope_theta"] = (rope.get("full_attention") or rope)["rope_theta"]
        old = ("partial_rotary_factor", "rope_scaling", "original_max_position_embeddings")
        config |= {name: made[name] for name in old if name in made}
    # what Bloom and Mamba do not limit, and GPT-2 calls otherwise
    config.setdefault("max_position_embeddings", meta[f"{architecture}.context_length"])
    write_json(path, config)
    # No sampling defaults: a model's own must not make one engine's greedy answer differ.
    stops = gguf_tokenizers.stop_ids(meta)
    if len(stops) > 1:
        ids["eos_token_id"] = stops
    write_json(folder / "generation_config.json", ids)


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(gguf_file: Path, folder: Path) -> None:
    """Raises GgufError."""
    reader = read(gguf_file)
    meta = metadata(reader)
    refuse_unknown(meta, gguf_file.name)
    config = configuration(gguf_file, meta, reader.tensors)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(reader.tensors, meta["general.architecture"], config, folder)
    gguf_tokenizers.write(meta, folder)
    finish_configs(meta, config, folder)


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except GgufError as error:
        print("\n" + json.dumps(error.as_dict()), flush=True)  # a progress bar may lack its end
        sys.exit(1)
