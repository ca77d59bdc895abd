"""A tiny bundle for the tests of this folder, written once."""

from pathlib import Path

import pytest

from pipeline.analyses.phases.networks import PhaseNetworks
from tests.support.phases import open_tiny, write_tiny_phases


@pytest.fixture(scope="session")
def tiny_phases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny bundle; nobody may change it."""
    return write_tiny_phases(tmp_path_factory.mktemp("phases") / "bundle")


@pytest.fixture(scope="session")
def networks(tiny_phases: Path) -> PhaseNetworks:
    """Return what the bundle knows of cholecystectomy."""
    return open_tiny(tiny_phases)
