"""A bundle that may be damaged: each test gets its own copy."""

import shutil
from pathlib import Path

import pytest

from tests.support.bundles import write_tiny_bundle


@pytest.fixture(scope="session")
def sound_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that nobody may change."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def folder(sound_bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle, to be damaged."""
    return Path(shutil.copytree(sound_bundle, tmp_path / "tiny"))
