"""Results to be read."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser

from pipeline.config import Configuration, ModelSettings
from pipeline.imaging.nifti import write_time_series
from pipeline.imaging.volume import TimeSeries
from pipeline.ledger.ledger import Ledger
from pipeline.reviewsettings import ReviewSettings
from tests.support.readings import Readings, copied, phases_job, run_perfusion
from tests.support.reviewpage import Reader, add_readers, browser, page_served, write_results
from tests.support.reviewserver import Served, serving
from tests.support.videos import write_dicom_video


@pytest.fixture(scope="session")
def perfusion_run(
    tiny_bundle: Path, sound_study: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, UUID]:
    """Return the folder of a run and its job; nobody may change it."""
    folder = tmp_path_factory.mktemp("perfusion run")
    return folder, run_perfusion(tiny_bundle, sound_study, folder)


@pytest.fixture
def desk(perfusion_run: tuple[Path, UUID], tiny_bundle: Path, tmp_path: Path) -> Iterator[Readings]:
    """Return a desk with a result of perfusion."""
    found = copied(perfusion_run, tmp_path / "desk", tiny_bundle)
    yield found
    found.ledger.close()


@pytest.fixture
def phases_desk(tmp_path: Path) -> Iterator[Readings]:
    """Return a desk with a result of phases."""
    (tmp_path / "video").mkdir()
    write_dicom_video(tmp_path / "video" / "a.dcm")
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        yield phases_job(ledger, tmp_path / "video", tmp_path / "out")


@pytest.fixture(scope="session")
def phantom_nifti(phantom_image: TimeSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the phantom as a NIfTI file: no patient, no study."""
    path = tmp_path_factory.mktemp("nifti") / "series.nii.gz"
    write_time_series(phantom_image, path, 1.1)
    return path


@pytest.fixture(scope="session")
def review_ledger(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a ledger with results to be read in a browser, and accounts."""
    folder = tmp_path_factory.mktemp("review")
    ledger = write_results(folder, tiny_bundle)
    add_readers(ledger)
    return ledger


@pytest.fixture(scope="session")
def review_address(
    review_ledger: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return where the page is served."""
    settings = f'[models]\npath = "{tiny_bundle}"\n[review]\norganization = "St. Elsewhere"\n'
    with page_served(review_ledger, settings, tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return a browser."""
    with browser() as started:
        yield started


@pytest.fixture
def reader(chromium: Browser, review_address: str) -> Iterator[Reader]:
    """Return somebody in front of the page, who must have no complaint at the end."""
    somebody = Reader(chromium, review_address)
    yield somebody
    somebody.close()
    assert somebody.complaints == []


@pytest.fixture
def served(perfusion_run: tuple[Path, UUID], tiny_bundle: Path, tmp_path: Path) -> Iterator[Served]:
    """Return a server of a ledger with a result of perfusion, and its clock."""
    copied(perfusion_run, tmp_path / "site", tiny_bundle).ledger.close()
    configuration = Configuration(
        review=ReviewSettings(port=0, attempts=3), models=ModelSettings(path=tiny_bundle)
    )
    with serving(tmp_path / "site" / "ledger.db", configuration) as running:
        yield running


@pytest.fixture
def served_twice(
    perfusion_run: tuple[Path, UUID], tiny_bundle: Path, tmp_path: Path
) -> Iterator[Served]:
    """Return a server whose results are read by two."""
    copied(perfusion_run, tmp_path / "twice", tiny_bundle).ledger.close()
    configuration = Configuration(
        review=ReviewSettings(port=0, read_twice=("perfusion",)),
        models=ModelSettings(path=tiny_bundle),
    )
    with serving(tmp_path / "twice" / "ledger.db", configuration) as running:
        yield running


@pytest.fixture
def job(perfusion_run: tuple[Path, UUID]) -> UUID:
    """Return the job of the result that is served."""
    return perfusion_run[1]
