"""A model's id on a Hugging Face hub, and which of a repository's files belong to the model.

Pure functions on names. Weights are safetensors of the repository's root, or the OpenVINO or ONNX
files of a folder that holds such a model; pickles and code are never among the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from playground.models.hub.errors import Code, HubError

What = Literal["small", "all"]
SMALL: What = "small"  # config, tokenizer, chat template, generation config
ALL: What = "all"  # those and the weights

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_SMALL_FILES = {
    *_TOKENIZERS,
    "config.json",
    "generation_config.json",
    "genai_config.json",
    "openvino_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
}
_INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
_OPENVINO = re.compile(r"openvino_[\w.-]+\.(xml|bin)", re.ASCII)  # .bin: raw weights, no pickle
_ONNX = re.compile(r"[\w.-]+\.onnx([._]data)?", re.ASCII)
_PICKLE = re.compile(r".+\.(bin|pt|pth|ckpt|pkl)")

# The hub's rules (huggingface_hub.utils.validate_repo_id), without names that must be files.
_NAME = r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_ID = re.compile(rf"((?:{_NAME}/)?{_NAME})(?:@([A-Za-z0-9_][\w./-]{{0,198}}))?", re.ASCII)
_FILE_ENDINGS = (".git", ".gguf", ".safetensors", ".onnx", ".xml", ".bin")


@dataclass(frozen=True)
class Remote:
    """A model on a hub."""

    repo: str  # "microsoft/Phi-3-mini-4k-instruct"
    revision: str = "main"  # a branch, a tag or a commit
    folder: str = ""  # only this folder of the repository: "directml/directml-int4-awq-block-128"

    @property
    def title(self) -> str:
        """The model's name for display."""
        return self.repo.rsplit("/", 1)[-1]

    @property
    def path(self) -> str:
        """The repository, with the folder if there is one."""
        return f"{self.repo}/{self.folder}".rstrip("/")

    @property
    def prefix(self) -> str:
        """What the names of its files in the repository begin with."""
        return f"{self.folder}/" if self.folder else ""


def parse_id(text: str) -> Remote | None:
    """`org/name` or `name`, optionally with `@revision`; None for anything else, such as a path."""
    match = _ID.fullmatch(text.strip())
    if not match or ".." in text:
        return None
    repo, revision = match[1], match[2] or "main"
    if "--" in repo or repo.lower().endswith(_FILE_ENDINGS):
        return None
    if "//" in revision or revision.endswith(("/", ".")):
        return None
    return Remote(repo, revision)


def choose(names: Iterable[str], remote: Remote, what: What) -> list[str]:
    """The files of a repository to fetch; the last one shows that the model is complete.

    Raises HubError if the repository, or its folder, holds no model that an engine here reads.
    """
    inside = (name.removeprefix(remote.prefix) for name in names if name.startswith(remote.prefix))
    own = [name for name in inside if "/" not in name and "\\" not in name]
    if not own:
        raise HubError(Code.NO_FOLDER if remote.folder else Code.NO_FILES)
    if not weights(own) or _marker(own) not in own:
        raise HubError(_why_unusable(own), remote.path)
    return [remote.prefix + name for name in small(own) + (weights(own) if what == ALL else [])]


def small(own: Iterable[str]) -> list[str]:
    """All files but weights; the one that makes a folder a model comes last."""
    own = list(own)
    return sorted(_SMALL_FILES.intersection(own), key=lambda name: (name == _marker(own), name))


def weights(own: Iterable[str]) -> list[str]:
    """The weights in one format that an engine reads; data before the file that refers to it."""
    own = sorted(own)
    if "model.safetensors" in own:
        return ["model.safetensors"]
    if _INDEX in own and (shards := [name for name in own if _SHARD.fullmatch(name)]):
        return [*shards, _INDEX]
    if "openvino_model.xml" in own:
        return [name for name in own if _OPENVINO.fullmatch(name)]  # .bin sorts before .xml
    if "genai_config.json" in own:
        return sorted(filter(_ONNX.fullmatch, own), key=lambda name: name.endswith(".onnx"))
    return []


def lacking(own: Iterable[str], what: What) -> list[str]:
    """Files that a folder lacks to be a complete model, inferred from those that it has."""
    own = set(own)
    absent = [] if _marker(own) in own else [_marker(own)]
    if own.isdisjoint(_TOKENIZERS):
        absent.append("tokenizer.json")
    if what == ALL:
        present = weights(own)
        counts = {int(shard[2]) for name in present if (shard := _SHARD.fullmatch(name))}
        needed = {
            f"model-{n:05}-of-{count:05}.safetensors"
            for count in counts
            for n in range(1, count + 1)
        }
        needed |= {f"{name[:-4]}.bin" for name in present if name.endswith(".xml")}
        needed |= {name[:-5] for name in present if name.endswith((".data", "_data"))}
        absent += sorted(needed - own) if present else ["model.safetensors"]
    return absent


def _marker(own: Iterable[str]) -> str:
    return "genai_config.json" if "genai_config.json" in own else "config.json"


def _why_unusable(own: list[str]) -> Code:
    """Why there is nothing to fetch."""
    if weights(own):
        return Code.NO_CONFIG
    if any(name.endswith(".gguf") for name in own):
        return Code.GGUF_ONLY
    return Code.PICKLES_ONLY if any(_PICKLE.fullmatch(name) for name in own) else Code.NO_WEIGHTS
