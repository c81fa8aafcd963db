"""Shared fixtures: a data folder of its own for the tests, and the default model made once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends import ENGINES, DeviceSupport, Engine
from playground import models
from playground.arena import Arena
from playground.lanes.lane import Lane, default_lanes

MARKERS = {  # what a test is marked with for a fixture that it uses
    "arena": "engine",
    "misbehaving": "engine",
    "models_home": "engine",
    "browser": "browser",
    "served": "browser",
}


def pytest_configure(config: pytest.Config) -> None:
    """Keep bytecode for the session's many processes, even where the environment forbids it.

    Compiling torch and transformers anew takes each of them longer than loading a model.
    """
    cache = getattr(config, "cache", None)  # none with `-p no:cacheprovider`
    if sys.dont_write_bytecode and cache:
        folder = str(cache.mkdir("bytecode"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder
        sys.dont_write_bytecode = False


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, directly or through others."""
    for item in items:
        for fixture in MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKERS[fixture])


@pytest.fixture(scope="session")
def models_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests' models are made: `AIPC_HOME` when the developer set one, else anew."""
    chosen = os.environ.get("AIPC_HOME")
    return Path(chosen) if chosen else tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def prepared(models_home: Path) -> Callable[[str, str], Path]:
    """`prepared("openvino", "int8")` is that folder of the default model, made on first use."""

    def prepare(file_format: str, precision: str) -> Path:
        before = os.environ.get("AIPC_HOME")
        os.environ["AIPC_HOME"] = str(models_home)
        try:
            return models.prepare(models.DEFAULT_MODEL, file_format, precision)
        finally:
            if before is None:
                del os.environ["AIPC_HOME"]
            else:
                os.environ["AIPC_HOME"] = before

    return prepare


@pytest.fixture(scope="session")
def default_models(models_home: Path, prepared: Callable[[str, str], Path]) -> Path:
    """The data folder in which every default lane has what it reads."""
    for lane in default_lanes():
        prepared(lane.format, lane.precision)
    return models_home


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with nothing in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("AIPC_HOME", str(folder))
    return folder


@pytest.fixture
def arena(empty_home: Path) -> Iterator[Arena]:
    """An arena whose workers are ended with the test."""
    started = Arena()
    yield started
    started.close()


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Lane]:
    """`misbehaving("Hangs")` is a lane on that backend of tests.support.misbehaving."""

    def lane(name: str) -> Lane:
        engine = Engine(
            name,
            f"tests.support.misbehaving:{name}",
            "",
            "",
            {"CPU": DeviceSupport("none", ("none",))},
        )
        monkeypatch.setitem(ENGINES, name.lower(), engine)
        return Lane(name.lower(), "CPU", "none")

    return lane
