"""Raw data in an inventory: found among other files, listed with their size, refused by name."""

from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest

from pipeline.demo import write_study
from pipeline.errors import InconsistentSeries, UnreadableFile, UnusableCall
from pipeline.imaging.nifti import write_volume
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.raw.reference import Reference, reference_of
from pipeline.ingest.reference import read_reference
from pipeline.mr.fourier import fft2c
from pipeline.study import InputSeries, RawSeries
from tests.mr.test_fourier import draw
from tests.support.geometry import farthest_mm
from tests.support.rawfiles import IDENTITY, Mrd, coil_images, write_bart, write_fastmri
from tests.support.traps import stack


def loaded(path: Path, reference: Reference | None = None) -> RawSeries:
    """Return the one series of raw data at a path."""
    inventory = take_inventory([path], reference=reference)
    assert inventory.refusals == ()
    (candidate,) = inventory.candidates
    series = candidate.load()
    assert isinstance(series, RawSeries)
    return series


@pytest.fixture(scope="module")
def reference_series(tmp_path_factory: pytest.TempPathFactory) -> InputSeries:
    """Return a DICOM series of one slice of the examination."""
    folder = tmp_path_factory.mktemp("reference")
    write_study(stack(1, n_slices=1), folder, name="reference")
    (candidate,) = take_inventory([folder]).candidates
    series = candidate.load()
    assert isinstance(series, InputSeries)
    return series


def test_a_folder_of_everything_is_taken_stock_of(tmp_path: Path) -> None:
    Mrd(kspace=fft2c(coil_images(2, 3))).write(tmp_path / "scan.h5")
    write_fastmri(tmp_path / "fast.h5", draw(1, 2, 3, 16, 12))
    write_bart(draw(1, 12, 16, 1, 3), tmp_path / "bart.cfl")
    np.save(tmp_path / "array.npy", draw(1, 3, 16, 12))
    np.save(tmp_path / "table.npy", np.zeros(3))
    (tmp_path / "log.dat").write_text("a log")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["layer"] = np.zeros(3)
    write_volume(Volume(array=np.ones((2, 4, 4)), affine=np.eye(4)), tmp_path / "image.nii")
    inventory = take_inventory([tmp_path])
    assert inventory.refusals == ()
    assert inventory.ignored == ("log.dat", "table.npy", "weights.h5")
    found = {c.label: (c.modality, c.n_beats, c.n_slices, c.rows) for c in inventory.candidates}
    assert found == {
        "scan.h5": ("KSPACE", 2, 3, 32),
        "fast.h5": ("KSPACE", 1, 2, 16),
        "bart.cfl": ("KSPACE", 1, 1, 16),
        "array.npy": ("KSPACE", 1, 1, 16),
        "image.nii": ("NIFTI", 1, 2, 4),
    }
    by_name = {c.label: c for c in inventory.candidates}
    assert by_name["scan.h5"].notes == ("MRD, 4 coils",)
    assert by_name["scan.h5"].load().label == "scan.h5"


def test_a_bad_file_does_not_disturb_the_good_one_beside_it(tmp_path: Path) -> None:
    Mrd().write(tmp_path / "good.h5")
    (tmp_path / "bad.h5").write_bytes((tmp_path / "good.h5").read_bytes()[:3000])
    Mrd(trajectory="radial").write(tmp_path / "radial.h5")
    write_bart(draw(1, 8, 8, 1, 2), tmp_path / "lone.cfl")
    (tmp_path / "lone.cfl").unlink()
    inventory = take_inventory([tmp_path])
    assert [c.label for c in inventory.candidates] == ["good.h5"]
    reasons = {r.label: r.reason for r in inventory.refusals}
    assert set(reasons) == {"bad.h5", "radial.h5", "lone.hdr"}
    assert "HDF5 is truncated or damaged" in reasons["bad.h5"]
    assert "the trajectory is radial" in reasons["radial.h5"]
    assert "values lone.cfl are missing" in reasons["lone.hdr"]


def test_a_named_file_of_other_things_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["layer"] = np.zeros(3)
    (refusal,) = take_inventory([tmp_path / "weights.h5"]).refusals
    assert refusal.reason == "weights.h5: neither DICOM nor NIfTI nor raw data"


def test_the_header_of_a_bart_file_stands_for_the_file(tmp_path: Path) -> None:
    path = write_bart(draw(1, 8, 8, 1, 2), tmp_path / "k.cfl")
    (by_header,) = take_inventory([path.with_suffix(".hdr")]).candidates
    (by_values,) = take_inventory([path]).candidates
    assert by_header.input_digest == by_values.input_digest


def test_a_file_that_changes_after_the_inventory_is_not_loaded(tmp_path: Path) -> None:
    path = write_bart(draw(1, 8, 8, 1, 2), tmp_path / "k.cfl")
    (candidate,) = take_inventory([path]).candidates
    path.with_suffix(".hdr").write_text("# Dimensions\n8 8 2 1\n")
    with pytest.raises(InconsistentSeries, match="has changed since it was checked"):
        candidate.load()
    path.unlink()
    with pytest.raises(UnreadableFile, match="cannot be read again"):
        candidate.load()


def test_parts_of_a_file_are_jobs_of_their_own(tmp_path: Path) -> None:
    def as_sets(one: object, _: int) -> object:
        one.idx.set = one.idx.average  # type: ignore[attr-defined]
        return one

    Mrd(averages=2, change=as_sets).write(tmp_path / "scan.h5")
    candidates = take_inventory([tmp_path]).candidates
    assert [c.label for c in candidates] == [
        "scan.h5 (encoding 0, contrast 0, set 0)",
        "scan.h5 (encoding 0, contrast 0, set 1)",
    ]
    assert candidates[0].input_digest != candidates[1].input_digest


def test_a_reference_gives_identity_and_place(
    reference_series: InputSeries, tmp_path: Path
) -> None:
    image = reference_series.image
    np.save(tmp_path / "k.npy", draw(1, 3, *image.array.shape[2:]))
    alone = loaded(tmp_path / "k.npy")
    assert (alone.header, alone.kspace.affine, alone.study_instance_uid) == (None, None, None)
    series = loaded(tmp_path / "k.npy", reference_of(reference_series))
    assert series.header is not None
    assert reference_series.header is not None
    assert series.header.PatientID == reference_series.header.PatientID
    assert series.study_instance_uid == reference_series.study_instance_uid
    assert series.kspace.frame_of_reference_uid == image.frame_of_reference_uid
    assert series.kspace.affine is not None
    assert farthest_mm(series.kspace.affine, image.affine, image.array.shape[1:]) < 1e-6
    assert series.input_digest != alone.input_digest
    assert [f.sop_instance_uid for f in series.frames]


def test_a_reference_of_the_same_field_of_view_places_another_matrix(
    reference_series: InputSeries, tmp_path: Path
) -> None:
    image = reference_series.image
    rows, columns = (int(n) for n in image.array.shape[2:])
    spacing = image.spacing_mm
    mrd = Mrd(
        kspace=fft2c(coil_images(shape=(2 * rows, 2 * columns))),
        spacing_mm=(5.0, spacing[1] / 2, spacing[2] / 2),
        read=(0, 0, 0),
    )
    kspace = loaded(mrd.write(tmp_path / "scan.h5"), reference_of(reference_series)).kspace
    assert kspace.affine is not None
    # The outer corner of the first voxel is the same point.
    np.testing.assert_allclose(
        kspace.affine @ (0, -0.5, -0.5, 1), image.affine @ (0, -0.5, -0.5, 1), atol=1e-6
    )
    np.testing.assert_allclose(kspace.affine[:3, 1], image.affine[:3, 1] / 2, atol=1e-6)


def test_a_reference_of_another_grid_is_refused(
    reference_series: InputSeries, tmp_path: Path
) -> None:
    np.save(tmp_path / "k.npy", draw(1, 3, 9, 9))
    (candidate,) = take_inventory([tmp_path], reference=reference_of(reference_series)).candidates
    with pytest.raises(InconsistentSeries, match="1 slices of 9x9 are not placed by a reference"):
        candidate.load()


def test_the_place_that_a_file_states_stays(reference_series: InputSeries, tmp_path: Path) -> None:
    path = Mrd(sections=IDENTITY).write(tmp_path / "scan.h5")
    own = loaded(path).kspace
    series = loaded(path, reference_of(reference_series))
    assert own.affine is not None
    assert series.kspace.affine is not None
    np.testing.assert_array_equal(series.kspace.affine, own.affine)
    assert series.header is not None
    assert series.header.PatientName != "Doe^Jane"
    assert series.header.ProtocolName


def test_what_the_call_states_goes_before_all_else(
    reference_series: InputSeries, tmp_path: Path
) -> None:
    path = Mrd(sections=IDENTITY).write(tmp_path / "scan.h5")
    stated = ["PatientID=77", "StudyInstanceUID=1.2.3", "AccessionNumber=A-007"]
    series = loaded(path, reference_of(None, stated))
    assert series.header is not None
    assert (series.header.PatientID, series.header.PatientName) == ("77", "Doe^Jane")
    assert series.header.AccessionNumber == "A-007"
    assert series.study_instance_uid == "1.2.3"
    both = loaded(path, reference_of(reference_series, ["PatientID=78"]))
    assert both.header is not None
    assert both.header.PatientID == "78"
    assert isinstance(both.header, pydicom.Dataset)


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ("PatientID", "'PatientID' cannot be stated; write Keyword=value"),
        ("PixelData=1", "'PixelData' cannot be stated"),
        ("StudyInstanceUID=x", "for StudyInstanceUID is not possible in DICOM"),
        ("PatientBirthDate=1970-01-01", "for PatientBirthDate is not possible"),
        ("PatientSex=female", "for PatientSex is not possible"),
        ("PatientName=" + "x" * 65, "for PatientName is not possible"),
        ("PatientName=a\\b", "for PatientName is not possible"),
    ],
)
def test_what_cannot_be_stated_is_refused_without_its_value(stated: str, reason: str) -> None:
    with pytest.raises(UnusableCall, match=reason) as problem:
        reference_of(None, [stated])
    value = stated.partition("=")[2]
    assert not value or len(value) < 3 or value not in str(problem.value)


def test_nothing_stated_is_no_reference() -> None:
    assert reference_of(None) is None


def test_a_reference_is_one_dicom_series(tmp_path: Path) -> None:
    write_study(stack(1, n_slices=1), tmp_path / "one", name="one")
    found = read_reference(tmp_path / "one", ["PatientID=5"])
    assert found is not None
    assert found.header.PatientID == "5"
    assert found.affine is not None
    write_study(stack(1, n_slices=2), tmp_path / "two" / "b", name="other")
    write_study(stack(1, n_slices=1), tmp_path / "two" / "a", name="one")
    with pytest.raises(UnusableCall, match="two: 2 DICOM MR series, a reference is one"):
        read_reference(tmp_path / "two")
    assert read_reference(None) is None
