"""The document that points at all that a job found."""

import shutil
import subprocess
from pathlib import Path

import highdicom
import pydicom
import pytest
from pydicom.dataset import Dataset

from pipeline.encode.keyobject import FILE
from pipeline.encode.phases import encode_phases
from tests.encode.test_objects import complaints, encoded
from tests.encode.test_phases import REVIEW, write_case
from tests.encode.test_reconstruction import encoded as encoded_images
from tests.support.phaseresults import phases_result
from tests.support.rawresults import known_header, raw_series
from tests.support.results import CONTEXT, result_on
from tests.support.traps import stack
from tests.support.vendors import STYLES, through


def perfusion(folder: Path) -> Path:
    series = through(STYLES["enhanced"], stack(12, n_slices=3), folder)
    return encoded(series, folder / "out", empty_slices=(1,))


def reconstruction(folder: Path) -> Path:
    return encoded_images(raw_series(2, 2, header=known_header()), folder / "out")


def phases(folder: Path) -> Path:
    (folder / "out").mkdir()
    encode_phases(phases_result(), write_case(folder / "in"), CONTEXT, REVIEW, folder / "out")
    return folder / "out"


def pointed_at(document: Dataset) -> list[str]:
    """Return the instances that a document points at, in order."""
    return [
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in document.ContentSequence
        if "ReferencedSOPSequence" in item
    ]


@pytest.mark.parametrize("make", [perfusion, reconstruction, phases])
def test_each_job_has_one_that_conforms_and_reads_back(make: object, tmp_path: Path) -> None:
    folder = make(tmp_path)  # type: ignore[operator]
    document = pydicom.dcmread(folder / FILE)
    assert complaints(folder / FILE) == []
    read = highdicom.ko.KeyObjectSelectionDocument.from_dataset(document)
    assert {read.resolve_reference(uid)[0] for uid in pointed_at(document)} == {
        document.StudyInstanceUID
    }
    assert document.ConceptNameCodeSequence[0].CodeValue == "113000"
    if shutil.which("dsrdump"):
        subprocess.run(["dsrdump", folder / FILE], check=True, capture_output=True)


@pytest.mark.parametrize("make", [perfusion, reconstruction, phases])
def test_it_points_at_every_object_of_the_job_but_itself_and_another_form_of_one(
    make: object, tmp_path: Path
) -> None:
    folder = make(tmp_path)  # type: ignore[operator]
    written = {
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path.name
        for path in folder.rglob("*.dcm")
    }
    found = pointed_at(pydicom.dcmread(folder / FILE))
    missing = {name for uid, name in written.items() if uid not in found}
    assert missing <= {FILE, "segmentation_labelmap.dcm"}
    assert len(found) == len(set(found))


def test_a_perfusion_job_points_at_the_peak_frames_of_slices_where_something_was_found(
    tmp_path: Path,
) -> None:
    series = through(STYLES["enhanced"], stack(12, n_slices=3), tmp_path)
    folder = encoded(series, tmp_path / "out", empty_slices=(1,))
    document = pydicom.dcmread(folder / FILE)
    peaks = [s.peak_beat for s in result_on(series.image).slices]
    expected = {series.frames[peaks[i]][i].frame_number for i in (0, 2)}
    (source,) = [
        item.ReferencedSOPSequence[0]
        for item in document.ContentSequence
        if "ReferencedSOPSequence" in item
        and item.ReferencedSOPSequence[0].get("ReferencedFrameNumber")
    ]
    assert set(source.ReferencedFrameNumber) == expected
    assert source.ReferencedSOPInstanceUID == series.frames[0][0].sop_instance_uid


def test_it_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    series = through(STYLES["standard"], stack(12, n_slices=3), tmp_path)
    found = {(encoded(series, tmp_path / name) / FILE).read_bytes() for name in ("a", "b")}
    assert len(found) == 1
