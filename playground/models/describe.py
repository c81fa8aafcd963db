"""Child process: what a converted folder's weights really are, read from the folder itself.

"int4" is a different recipe in every converter, so it is not taken from the command line. It also
notices a weight file cut short, which a converter may write without a word on a full disk.
Usage: python -m playground.models.describe FORMAT FOLDER RESULT
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True)
class Tensor:
    """One matrix of weights."""

    kind: str  # "int4 sym, group 64"
    size: int  # elements
    embedding: bool


@dataclass(frozen=True)
class Contents:
    """What a folder's weight files hold."""

    tensors: list[Tensor]
    weight_bytes: int
    read_bytes: int  # what one token needs: a table only looked up in is left out


def recipe(tensors: list[Tensor]) -> str:
    """The kind that most weights have, then what was kept otherwise."""
    counted: Counter[str] = Counter()
    for tensor in tensors:
        if not tensor.embedding:
            counted[tensor.kind] += tensor.size
    total = sum(counted.values())
    parts = [kind for kind, _ in counted.most_common(1)] or ["unknown"]
    for kind, size in counted.most_common()[1:]:
        if size > total // 200:
            parts.append(f"{100 * size / total:.0f} % {kind}")
    for kind in sorted({t.kind for t in tensors if t.embedding and t.kind != parts[0]}):
        same_word = kind.split()[0] != parts[0].split()[0]
        parts.append(f"embeddings {kind.split()[0] if same_word else kind}")
    return ", ".join(parts)


_BITS = {"i4": 4, "u4": 4, "i8": 8, "u8": 8}


def openvino(folder: Path) -> Contents:
    """From the constants of the XML: a compressed weight has its scale and zero point beside it."""
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
        raise SystemExit(f"openvino_model.bin is cut short: {weights} of {end} bytes.")
    tensors = []
    for name, (type, shape) in constants.items():
        size = _product(shape)
        if len(shape) < 2 or size < 1024 or name.endswith(("/scale", "/zero_point")):
            continue
        if type in _BITS and f"{name}/scale" in constants:
            grouped = len(constants[f"{name}/scale"][1]) == 3
            sign = "asym" if f"{name}/zero_point" in constants else "sym"
            group = f"group {shape[-1]}" if grouped else "per channel"
            kind = f"int{_BITS[type]} {sign}, {group}"
        elif type in ("f16", "f32", "bf16"):
            kind = type.replace("bf", "B").replace("f", "fp").replace("B", "bf")
        else:
            continue
        tensors.append(Tensor(kind, size, "embed_tokens" in name or "lm_head" in name))
    return Contents(tensors, weights, weights - _only_looked_up(sizes))


def onnx(folder: Path) -> Contents:
    """From the nodes: MatMulNBits and GatherBlockQuantized name their bits and block size."""
    import onnx as library

    about = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
    name = about["model"]["decoder"]["filename"]
    graph = library.load(str(folder / name), load_external_data=False).graph
    ends: Counter[str] = Counter()
    sizes = {}
    for tensor in graph.initializer:
        outside = {entry.key: entry.value for entry in tensor.external_data}
        length = int(outside.get("length", 0))
        file = outside.get("location", "")
        ends[file] = max(ends[file], int(outside.get("offset", 0)) + length)
        sizes[tensor.name] = (tensor, length)
    weights = 0
    for file, end in ends.items():
        there = (folder / file).stat().st_size if file else 0
        weights += there
        if end > there:
            raise SystemExit(f"{file} is cut short: {there} of {end} bytes.")
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
            place = 1 if node.op_type == "MatMul" else 0
            if node.input[place] not in sizes:
                continue
            tensor, length = sizes[node.input[place]]
            kind = library.TensorProto.DataType.Name(tensor.data_type).lower()
            kind = kind.replace("float16", "fp16").replace("float", "fp32").replace("bfp", "bf")
            size = _product(list(tensor.dims))
            if len(tensor.dims) == 2 and size >= 1024 and "cache" not in tensor.name:
                tensors.append(Tensor(kind, size, embedding))
                if node.op_type == "Gather" and users[tensor.name] == 1:
                    only_looked_up += length
    return Contents(tensors, weights, weights - only_looked_up)


def hf(folder: Path) -> Contents:
    """From the header of the safetensors files."""
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
                tensors.append(Tensor(kind, _product(tensor["shape"]), embedding))
                begin, end = tensor["data_offsets"]
                sizes[name] = end - begin
    return Contents(tensors, weights, weights - _only_looked_up(sizes))


def _only_looked_up(sizes: dict[str, int]) -> int:
    """Bytes of the table of embeddings where the head has weights of its own: a token reads one
    row of it. Where the head shares the table, every token reads all of it."""
    if not any("lm_head" in name for name in sizes):
        return 0
    return sum(size for name, size in sizes.items() if "embed_tokens" in name)


def _product(shape: list[int]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def main() -> None:
    format, folder, result = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    contents = {"hf": hf, "openvino": openvino, "onnx": onnx}[format](folder)
    told = {
        "recipe": recipe(contents.tensors),
        "weight_bytes": contents.weight_bytes,
        "read_bytes": contents.read_bytes,
    }
    result.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
