"""Child process: which weights a converted folder really has, read from its files.

Every converter has its own recipe for "int4", so the recipe is read from the result and not from
the command line. This also notices a truncated weight file, which a converter may leave behind on a
full disk without an error. Usage: python -m playground.models.describe FORMAT FOLDER RESULT
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

_BITS = {"i4": 4, "u4": 4, "i8": 8, "u8": 8}
_MIN_SIZE = 1024  # elements; smaller tensors are not counted as weights


@dataclass(frozen=True)
class Tensor:
    """One matrix of weights."""

    kind: str  # "int4 sym, group 64"
    size: int  # elements
    embedding: bool


@dataclass(frozen=True)
class Contents:
    """The weights in a folder."""

    recipe: str  # "int4 sym, group 128"
    weight_bytes: int
    read_bytes: int  # of these, what one token reads: without a table that is only looked up


def recipe(tensors: list[Tensor]) -> str:
    """The kind of most weights, followed by the exceptions: "int4 sym, 10 % int8 asym"."""
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        if not tensor.embedding:
            sizes[tensor.kind] += tensor.size
    total = sum(sizes.values())
    parts = [kind for kind, _ in sizes.most_common(1)] or ["unknown"]
    for kind, size in sizes.most_common()[1:]:
        if size > total // 200:
            parts.append(f"{100 * size / total:.0f} % {kind}")
    for kind in sorted({t.kind for t in tensors if t.embedding and t.kind != parts[0]}):
        same_type = kind.split()[0] == parts[0].split()[0]
        parts.append(f"embeddings {kind if same_type else kind.split()[0]}")
    return ", ".join(parts)


def openvino(folder: Path) -> Contents:
    """Read the constants of the XML; a compressed weight has a scale and perhaps a zero point."""
    weights = (folder / "openvino_model.bin").stat().st_size
    constants: dict[str, tuple[str, list[int]]] = {}
    sizes: dict[str, int] = {}
    end = 0
    for layer in ElementTree.parse(folder / "openvino_model.xml").getroot().iter("layer"):
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None:
            continue
        shape = [int(n) for n in (data.get("shape") or "").split(",") if n.strip()]
        constants[layer.get("name") or ""] = (data.get("element_type") or "", shape)
        sizes[layer.get("name") or ""] = int(data.get("size") or 0)
        end = max(end, int(data.get("offset") or 0) + int(data.get("size") or 0))
    if end > weights:
        raise SystemExit(f"openvino_model.bin is truncated: {weights} of {end} bytes.")
    tensors = []
    for name, (element_type, shape) in constants.items():
        size = math.prod(shape)
        if len(shape) < 2 or size < _MIN_SIZE or name.endswith(("/scale", "/zero_point")):
            continue
        if element_type in _BITS and f"{name}/scale" in constants:
            grouped = len(constants[f"{name}/scale"][1]) == 3
            sign = "asym" if f"{name}/zero_point" in constants else "sym"
            group = f"group {shape[-1]}" if grouped else "per channel"
            kind = f"int{_BITS[element_type]} {sign}, {group}"
        elif element_type in ("f16", "f32", "bf16"):
            kind = element_type.replace("f", "fp").replace("bfp", "bf")
        else:
            continue
        tensors.append(Tensor(kind, size, "embed_tokens" in name or "lm_head" in name))
    return Contents(recipe(tensors), weights, weights - _only_looked_up(sizes))


def onnx(folder: Path) -> Contents:
    """Read the nodes of the graph; MatMulNBits names its bits and block size."""
    import onnx as library

    config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
    name = config["model"]["decoder"]["filename"]
    graph = library.load(str(folder / name), load_external_data=False).graph
    ends: Counter[str] = Counter()
    sizes = {}
    for tensor in graph.initializer:
        external = {entry.key: entry.value for entry in tensor.external_data}
        length = int(external.get("length", 0))
        file = external.get("location", "")
        ends[file] = max(ends[file], int(external.get("offset", 0)) + length)
        sizes[tensor.name] = (tensor, length)
    weights = 0
    for file, end in ends.items():
        actual = (folder / file).stat().st_size if file else 0
        weights += actual
        if end > actual:
            raise SystemExit(f"{file} is truncated: {actual} of {end} bytes.")
    users = Counter(name for node in graph.node for name in node.input)
    tensors, only_looked_up = [], 0
    for node in graph.node:
        embedding = "embed_tokens" in node.name or "lm_head" in node.name
        number = {a.name: a.i for a in node.attribute}
        if node.op_type == "MatMulNBits":
            sign = "asym" if len(node.input) > 3 and node.input[3] else "sym"
            kind = f"int{number['bits']} {sign}, group {number['block_size']}"
            tensors.append(Tensor(kind, number["K"] * number["N"], embedding))
        elif node.op_type in ("MatMul", "Gather"):
            weight = node.input[1 if node.op_type == "MatMul" else 0]
            if weight not in sizes:
                continue
            tensor, length = sizes[weight]
            kind = library.TensorProto.DataType.Name(tensor.data_type).lower()
            kind = kind.replace("float16", "fp16").replace("float", "fp32").replace("bfp", "bf")
            size = math.prod(tensor.dims)
            if len(tensor.dims) == 2 and size >= _MIN_SIZE and "cache" not in tensor.name:
                tensors.append(Tensor(kind, size, embedding))
                if node.op_type == "Gather" and users[tensor.name] == 1:
                    only_looked_up += length
    return Contents(recipe(tensors), weights, weights - only_looked_up)


def hf(folder: Path) -> Contents:
    """Read the headers of the safetensors files."""
    names = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
    tensors, weights = [], 0
    sizes: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights += path.stat().st_size
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__" and len(tensor["shape"]) >= 2:
                kind = names.get(tensor["dtype"], tensor["dtype"].lower())
                embedding = "embed_tokens" in name or "lm_head" in name
                tensors.append(Tensor(kind, math.prod(tensor["shape"]), embedding))
                begin, end = tensor["data_offsets"]
                sizes[name] = end - begin
    return Contents(recipe(tensors), weights, weights - _only_looked_up(sizes))


def _only_looked_up(sizes: dict[str, int]) -> int:
    """Bytes of the embedding table, of which a token reads one row; 0 where the output layer has no
    weights of its own and every token reads the whole table."""
    if not any("lm_head" in name for name in sizes):
        return 0
    return sum(size for name, size in sizes.items() if "embed_tokens" in name)


def main() -> None:
    read = {"hf": hf, "openvino": openvino, "onnx": onnx}[sys.argv[1]]
    contents = read(Path(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(asdict(contents)), encoding="utf-8")


if __name__ == "__main__":
    main()
