"""Whose raw data are: it reaches the DICOM objects, and nothing else that a run writes or says."""

import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from pipeline.demo import write_study
from tests.encode.test_objects import complaints
from tests.support.rawfiles import IDENTITY, Mrd
from tests.support.reconstruction import write_tiny_reconstruction
from tests.support.traps import stack

MARKED = (
    IDENTITY.replace("Doe^Jane", "Zzmark^One")
    .replace("0042", "ZZMARK-2")
    .replace("S7", "Zzmark3")
    .replace("<protocolName>GRE", "<protocolName>Zzmark4")
)
"""A header whose attributes of patient and study can be told in any output."""

SETTINGS = """[reconstruction]
method = "zero-filled"
uncertainty_draws = 2
[output]
mr_image_types = ["CLASSIC", "ENHANCED"]
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small bundle."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_reconstruction(folder / "reconstruction" / "bundle")
    return folder


def call(models: Path, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Call ``vesalius run`` and wait for it."""
    (folder / "site.toml").write_text(SETTINGS)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VESALIUS_")}
    where = ["--output", folder / "out", "--ledger", folder / "ledger.db", "--models", models]
    return subprocess.run(
        [
            sys.executable,
            *("-m", "pipeline.cli", "run", *map(str, arguments)),
            *map(str, where),
            *("--config", str(folder / "site.toml")),
        ],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_patient_of_an_mrd_header_shows_in_dicom_objects_only(
    models: Path, tmp_path: Path
) -> None:
    path = Mrd(sections=MARKED).write(tmp_path / "scan.h5")
    done = call(models, tmp_path, path)
    assert done.returncode == 0, done.stderr
    assert "zzmark" not in (done.stdout + done.stderr).lower()
    written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    objects = [p for p in written if p.suffix == ".dcm"]
    assert len(objects) == 4
    for place in written:
        assert "zzmark" not in place.name.lower()
        assert (b"zzmark" in place.read_bytes().lower()) == (place in objects), place
    assert b"zzmark" not in (tmp_path / "ledger.db").read_bytes().lower()
    for place in objects:
        assert pydicom.dcmread(place).PatientName == "Zzmark^One"
        assert complaints(place) == []


def test_a_call_names_the_examination(models: Path, tmp_path: Path) -> None:
    write_study(stack(1, n_slices=1), tmp_path / "reference", name="reference")
    path = Mrd().write(tmp_path / "scan.h5")
    stated = ("--reference", tmp_path / "reference", "--state", "PatientID=77")
    done = call(models, tmp_path, path, *stated)
    assert done.returncode == 0, done.stderr
    image = pydicom.dcmread(next((tmp_path / "out").rglob("IM00001.dcm")))
    source = pydicom.dcmread(next((tmp_path / "reference").rglob("*.dcm")))
    assert image.PatientID == "77"
    assert image.PatientName == source.PatientName
    assert image.StudyInstanceUID == source.StudyInstanceUID
    assert image.SeriesInstanceUID != source.SeriesInstanceUID


def test_an_examination_that_cannot_be_is_an_unusable_call(models: Path, tmp_path: Path) -> None:
    path = Mrd().write(tmp_path / "scan.h5")
    done = call(models, tmp_path, path, "--state", "PixelData=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'PixelData' cannot be stated" in done.stderr
    done = call(models, tmp_path, path, "--reference", path)
    assert done.returncode == 2
    assert "0 DICOM MR series, a reference is one" in done.stderr
