"""One folder that a lane needs of a model: whether it is there, where, and what it depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from playground.models import catalogue, convert, folders
from playground.models.catalogue import TOKENIZER, Source
from playground.models.folders import Manifest
from playground.models.hub.files import Remote


@dataclass(frozen=True)
class Target:
    """A model's files in one format and precision; `precision` is "" where the format has none."""

    source: Source
    format: str
    precision: str

    @classmethod
    def of(cls, model: str, model_format: str, precision: str) -> Target:
        """Raises BadInput for an unknown model and for a format that no converter makes."""
        catalogue.check_format(model_format, precision)
        return cls(catalogue.resolve(model), model_format, precision)

    @property
    def title(self) -> str:
        """ "OpenVINO int4"."""
        return f"{convert.TITLES[self.format]} {self.precision}".strip()

    @property
    def folder(self) -> Path:
        """The folder built for it; it may hold only a manifest that points elsewhere."""
        name = self.format if self.format == "hf" else f"{self.format}-{self.precision}"
        return self.source.folder / name

    @property
    def remote(self) -> Remote | None:
        """The repository on a hub that has these very files; None where they are built here."""
        if self.format in ("hf", TOKENIZER):
            return self.source.remote
        return self.source.published.get((self.format, self.precision))

    @property
    def local_path(self) -> Path | None:
        """The user's own folder, where the model is one in this format."""
        is_local = convert.family(self.format) == self.source.kind
        return self.source.path if is_local else None

    @property
    def fingerprint(self) -> str:
        """Changes when the files it is built from change."""
        if self.source.preset:
            return self.source.preset.sha256
        if remote := self.remote or self.source.remote:
            return f"{remote.repo}@{remote.revision}/{remote.folder}"
        assert self.source.path is not None
        return folders.fingerprint(self.source.path)

    @property
    def manifest(self) -> Manifest | None:
        return folders.read_manifest(self.folder)

    @property
    def location(self) -> Path:
        """The folder that a lane reads; it may not be there yet."""
        if self.local_path is not None:
            return self.local_path
        manifest = self.manifest
        return Path(manifest.at) if manifest and manifest.at else self.folder

    @property
    def is_there(self) -> bool:
        """Whether its files are complete and fit the source."""
        if self.source.kind == self.format == "hf":
            return True
        manifest = self.manifest
        if manifest is None or manifest.source != self.fingerprint:
            return False
        return not manifest.at or folders.all_there(Path(manifest.at), manifest)

    @property
    def hf(self) -> Target:
        """The Hugging Face folder of the same model, which the converters read."""
        return replace(self, format="hf", precision="")

    def steps(self) -> list[Target]:
        """The folders that a lane with this format needs, in the order in which to build them."""
        own = [] if self.format == "hf" else [self]
        kind = self.source.kind
        if kind == "hf":
            return own
        if kind in ("openvino", "onnx"):
            return [self]
        if kind == "hub":  # the tokenizer in any case, since prompts are encoded with it
            tokenizer = replace(self, format=TOKENIZER, precision="")
            is_published = (self.format, self.precision) in self.source.published
            return [tokenizer, *own] if is_published else [tokenizer, self.hf, *own]
        return [self.hf, *own]
