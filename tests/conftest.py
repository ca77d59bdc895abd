"""What tests of the whole way share: a small bundle and a small study, made once."""

import shutil
from pathlib import Path

import pytest

from pipeline.demo import write_study
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom import Phantom, PhantomSettings, perfusion_phantom
from tests.support.bundles import write_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle that finds the phantom's heart; nobody may change it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """Return a perfusion series of one slice, with the truth about it."""
    return perfusion_phantom(7, PhantomSettings(n_slices=1, n_beats=45, rows=96, columns=96))


@pytest.fixture(scope="session")
def phantom_image(phantom: Phantom) -> TimeSeries:
    """Return the series."""
    return phantom.image


@pytest.fixture(scope="session")
def sound_study(phantom_image: TimeSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the series as classic DICOM; nobody may change it."""
    folder = tmp_path_factory.mktemp("inputs") / "study"
    write_study(phantom_image, folder, name="sound")
    return folder


@pytest.fixture
def study(sound_study: Path, tmp_path: Path) -> Path:
    """Return a copy of the study, to be changed."""
    return Path(shutil.copytree(sound_study, tmp_path / "study"))
