"""The files of a reconstruction: conformant, placed, true to the image, and the same each time."""

from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from matplotlib.image import imread
from pydicom.dataset import Dataset

from pipeline.demo import write_study
from pipeline.encode.context import UNKNOWN_DATE
from pipeline.encode.mrseries import partial_fourier
from pipeline.encode.reconstruction import (
    encode_reconstruction,
    reconstructed_series,
    why_no_dicom,
)
from pipeline.encode.reconstructionfigures import write_reconstruction_figure
from pipeline.encode.sources import placed
from pipeline.errors import ModelContractBroken
from pipeline.identity import digest_file
from pipeline.imaging.nifti import read_time_series, read_volume
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.raw.reference import reference_of
from pipeline.mr.fourier import fft2c
from pipeline.study import InputSeries, RawSeries
from tests.encode.test_objects import complaints
from tests.support.geometry import farthest_mm
from tests.support.rawfiles import IDENTITY, Mrd, coil_images
from tests.support.rawresults import (
    AFFINE,
    RAW_CONTEXT,
    known_header,
    raw_series,
    reconstruction_of,
)
from tests.support.traps import stack


def encoded(series: RawSeries, folder: Path, **changes: object) -> Path:
    """Encode a made-up result, and return the folder."""
    folder.mkdir()
    context = replace(RAW_CONTEXT, **changes)  # type: ignore[arg-type]
    encode_reconstruction(reconstruction_of(series), series, context, folder)
    return folder


def objects(folder: Path) -> list[Path]:
    """Return all DICOM objects of a folder."""
    return sorted(folder.rglob("*.dcm"))


@pytest.fixture(scope="module")
def series() -> RawSeries:
    """Return raw data of three time steps of two slices."""
    return raw_series(3, 2, header=known_header())


@pytest.fixture(scope="module")
def folder(series: RawSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of their result; nobody may change it."""
    return encoded(series, tmp_path_factory.mktemp("result") / "out")


@pytest.mark.parametrize(
    ("n_frames", "n_slices", "header"),
    [
        (1, 1, Dataset()),
        (3, 2, known_header()),
        (1, 2, known_header(ScanningSequence="IR", BodyPartExamined="HEART")),
    ],
)
def test_every_object_conforms_to_the_standard_whatever_is_known(
    n_frames: int, n_slices: int, header: Dataset, tmp_path: Path
) -> None:
    found = encoded(raw_series(n_frames, n_slices, header=header), tmp_path / "out")
    written = objects(found)
    assert len(written) == n_frames * n_slices + 3
    sampled = [p for p in written if p.parent.name != "images"]
    sampled += [p for p in written if p.parent.name == "images"][:1]
    assert {p.name: complaints(p) for p in sampled} == {p.name: [] for p in sampled}


@pytest.mark.parametrize("form", ["CLASSIC", "ENHANCED"])
def test_images_read_back_with_their_place_times_and_proportional_values(
    form: str, series: RawSeries, tmp_path: Path
) -> None:
    encoded(series, tmp_path / "out", mr_image_types=(form,))
    candidates = take_inventory([tmp_path / "out"]).candidates
    (candidate,) = [c for c in candidates if c.modality == "MR" and c.n_beats]
    loaded = candidate.load()
    assert isinstance(loaded, InputSeries)
    assert loaded.image.array.shape == (3, 2, 28, 24)
    assert farthest_mm(loaded.image.affine, AFFINE, (2, 28, 24)) < 1e-4
    np.testing.assert_allclose(loaded.image.times_s, series.kspace.times_s, atol=1e-5)
    assert not loaded.image.times_are_estimated
    magnitude = np.abs(reconstruction_of(series).image)
    assert loaded.image.array.max() == 4095
    np.testing.assert_allclose(
        loaded.image.array / 4095, magnitude / magnitude.max(), atol=0.51 / 4095
    )


def test_the_series_for_other_analyses_is_what_reading_the_files_gives(
    series: RawSeries, folder: Path
) -> None:
    given = reconstructed_series(reconstruction_of(series), series, RAW_CONTEXT, folder)
    (candidate,) = [c for c in take_inventory([folder / "images"]).candidates if c.modality == "MR"]
    read = candidate.load()
    assert isinstance(read, InputSeries)
    np.testing.assert_array_equal(given.image.array, read.image.array)
    np.testing.assert_allclose(given.image.affine, read.image.affine, atol=1e-6)
    assert given.study_instance_uid == read.study_instance_uid
    assert given.series_instance_uids == read.series_instance_uids
    assert [[f.sop_instance_uid for f in beat] for beat in given.frames] == [
        [f.sop_instance_uid for f in beat] for beat in read.frames
    ]
    assert all(f.path.is_file() for beat in given.frames for f in beat)


def test_images_say_how_they_came_about(folder: Path, series: RawSeries) -> None:
    image = pydicom.dcmread(folder / "images" / "IM00001.dcm")
    assert image.ImageType == ["DERIVED", "PRIMARY", "OTHER"]
    for part in (
        "4 coils",
        f"acceleration {series.kspace.acceleration:.2f}",
        "unrolled neural operator",
        "Residual",
        "3.0 %",
    ):
        assert part in image.DerivationDescription
    assert image.ParallelAcquisition == "YES"
    assert image.ParallelReductionFactorInPlane == series.kspace.acceleration
    assert image.PartialFourier == "NO"
    assert image.InPlanePhaseEncodingDirection == "COL"
    assert image.ContentQualification == "RESEARCH"
    said = [e.get("ContributionDescription", "") for e in image.ContributingEquipmentSequence]
    assert any(RAW_CONTEXT.bundle_digest in text for text in said)
    assert image.ContributingEquipmentSequence[0].Manufacturer == "SIEMENS"
    assert image.Manufacturer == "Vesalius"
    codes = [c.CodeMeaning for c in image.DerivationCodeSequence]
    assert "Iterative Reconstruction" in codes
    enhanced = pydicom.dcmread(folder / "enhanced.dcm")
    assert enhanced.ParallelReductionFactorInPlane == series.kspace.acceleration
    assert enhanced.DerivationDescription == image.DerivationDescription


def test_images_are_of_the_patient_and_study_that_are_known(
    folder: Path, series: RawSeries
) -> None:
    for path in objects(folder):
        instance = pydicom.dcmread(path)
        assert instance.PatientName == "Müller^Jürgen"
        assert (instance.PatientID, instance.AccessionNumber) == ("0042", "A-007")
        assert instance.StudyInstanceUID == series.study_instance_uid
        assert instance.StudyDate == "20210304"
        assert instance.SeriesNumber // 100 == 5
        assert instance.ContentQualification == "RESEARCH"
    first = pydicom.dcmread(folder / "images" / "IM00001.dcm")
    assert (first.RepetitionTime, first.MagneticFieldStrength) == (250, 2.89)
    assert first.SliceThickness == 6
    assert first.SpacingBetweenSlices == 8


def test_what_is_not_known_is_empty_and_never_made_up(tmp_path: Path) -> None:
    series = replace(raw_series(header=Dataset()), study_instance_uid=None)
    found = encoded(series, tmp_path / "out")
    uids = set()
    for path in objects(found):
        instance = pydicom.dcmread(path)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyID"):
            assert not instance[keyword].value
        assert instance.ContentDate == UNKNOWN_DATE
        uids.add(instance.StudyInstanceUID)
    assert len(uids) == 1


def test_a_window_shows_black_as_black_and_tissue_below_white(folder: Path) -> None:
    image = pydicom.dcmread(folder / "images" / "IM00003.dcm")
    low = image.WindowCenter - image.WindowWidth / 2
    high = image.WindowCenter + image.WindowWidth / 2
    assert low == pytest.approx(0, abs=1)
    assert 0.9 * image.pixel_array.max() < high <= 4095
    others = [pydicom.dcmread(p).WindowWidth for p in objects(folder / "images")]
    assert len(set(others)) == 1


def test_the_uncertainty_map_reads_back_in_stored_units_and_points_at_the_images(
    series: RawSeries, folder: Path
) -> None:
    result = reconstruction_of(series)
    assert result.uncertainty is not None
    slope = np.abs(result.image).max() / 4095
    volume = highdicom.imread(folder / "uncertainty.dcm").get_volume()
    values = np.sqrt(np.mean((result.uncertainty / slope) ** 2, axis=0)).astype(np.float32)
    back = volume.match_geometry(
        placed(Volume(array=values, affine=AFFINE), volume.frame_of_reference_uid), tol=1e-6
    )
    np.testing.assert_allclose(back.array, values, rtol=1e-5)
    instance = pydicom.dcmread(folder / "uncertainty.dcm")
    listed = {
        i.ReferencedSOPInstanceUID
        for s in instance.ReferencedSeriesSequence
        for i in s.ReferencedInstanceSequence
    }
    assert listed == {pydicom.dcmread(p).SOPInstanceUID for p in objects(folder / "images")}


def test_nifti_twins_hold_magnitude_phase_and_uncertainty(series: RawSeries, folder: Path) -> None:
    result = reconstruction_of(series)
    twin = read_time_series(folder / "magnitude.nii.gz")
    np.testing.assert_allclose(twin.array, np.abs(result.image), rtol=1e-6)
    assert farthest_mm(twin.affine, AFFINE, (2, 28, 24)) < 1e-4
    complex_twin = nibabel.load(folder / "complex.nii.gz")
    np.testing.assert_array_equal(
        np.asarray(complex_twin.dataobj).transpose(3, 2, 1, 0), result.image
    )
    uncertain = read_time_series(folder / "uncertainty.nii.gz")
    np.testing.assert_array_equal(uncertain.array, result.uncertainty)


def test_phase_is_written_on_request_only(tmp_path: Path) -> None:
    found = encoded(raw_series(), tmp_path / "out", complex_nifti=False)
    assert sorted(p.name for p in found.glob("*.nii.gz")) == [
        "magnitude.nii.gz",
        "uncertainty.nii.gz",
    ]


def test_the_same_result_gives_the_same_bytes(
    series: RawSeries, folder: Path, tmp_path: Path
) -> None:
    again = encoded(series, tmp_path / "again")
    names = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
    assert len(names) == 6 + 3 + 3 + 1
    for name in names:
        assert digest_file(again / name) == digest_file(folder / name), name


def test_raw_data_of_nobody_become_nifti_and_a_figure(tmp_path: Path) -> None:
    series = raw_series()
    assert "nothing is known of patient and study" in str(why_no_dicom(series))
    found = encoded(series, tmp_path / "out")
    assert objects(found) == []
    assert farthest_mm(read_volume(found / "magnitude.nii.gz").affine, AFFINE, (2, 28, 24)) < 1e-4
    assert (found / "figures" / "reconstruction.png").stat().st_size > 10_000


def test_raw_data_without_a_place_get_no_dicom_and_no_coordinates(tmp_path: Path) -> None:
    series = raw_series(header=known_header(), placed=False)
    assert "the place in the patient is not known" in str(why_no_dicom(series))
    found = encoded(series, tmp_path / "out")
    assert objects(found) == []
    header = nibabel.load(found / "magnitude.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    np.testing.assert_allclose(header["pixdim"][1:4], (2.0, 1.5, 6.0))
    with pytest.raises(ModelContractBroken, match=r"scan\.h5: images without a place"):
        reconstructed_series(reconstruction_of(series), series, RAW_CONTEXT, found)


def test_an_image_off_its_grid_or_not_finite_is_never_written(tmp_path: Path) -> None:
    series = raw_series(header=known_header())
    result = reconstruction_of(series)
    with pytest.raises(ModelContractBroken, match=r"images of shape .* raw data of \(1, 2, 28, 24"):
        encode_reconstruction(
            replace(result, image=result.image[..., :-1]), series, RAW_CONTEXT, tmp_path
        )
    broken = result.image.copy()
    broken[0, 0, 3, 3] = np.nan
    with pytest.raises(ModelContractBroken, match="1 pixels are NaN or infinite"):
        encode_reconstruction(replace(result, image=broken), series, RAW_CONTEXT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_nothing_is_written_as_such(tmp_path: Path) -> None:
    series = raw_series(header=known_header())
    result = reconstruction_of(series)
    nothing = replace(result, image=0 * result.image)
    encode_reconstruction(nothing, series, RAW_CONTEXT, tmp_path)
    image = pydicom.dcmread(tmp_path / "images" / "IM00001.dcm")
    assert not image.pixel_array.any()
    assert image.WindowWidth == 1


def test_an_mrd_file_becomes_images_of_its_patient_at_its_place(tmp_path: Path) -> None:
    path = Mrd(kspace=fft2c(coil_images(1, 2)), recon_rows=28, sections=IDENTITY).write(
        tmp_path / "scan.h5"
    )
    (candidate,) = take_inventory([path]).candidates
    series = candidate.load()
    assert isinstance(series, RawSeries)
    found = encoded(series, tmp_path / "out")
    images = [pydicom.dcmread(p) for p in objects(found / "images")]
    assert complaints(found / "images" / "IM00001.dcm") == []
    assert images[0].PatientID == "0042"
    assert images[0].StudyInstanceUID == "1.2.826.0.1.1"
    assert images[0].FrameOfReferenceUID == "1.2.826.0.1.2"
    # The first voxel lies 11.5 columns of 2 mm and 13.5 rows of 1.5 mm before the slice's centre.
    np.testing.assert_allclose(images[0].ImagePositionPatient, (-13, -40.25, 30), atol=1e-4)
    assert images[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert images[0].PixelSpacing == [1.5, 2.0]
    assert images[0].AccessionNumber == ""


def test_images_of_raw_data_with_a_reference_are_of_its_study_and_space(tmp_path: Path) -> None:
    write_study(stack(1, n_slices=1), tmp_path / "reference", name="reference")
    (candidate,) = take_inventory([tmp_path / "reference"]).candidates
    reference_series = candidate.load()
    assert isinstance(reference_series, InputSeries)
    shape = reference_series.image.array.shape[2:]
    np.save(tmp_path / "k.npy", fft2c(coil_images(shape=shape))[0, 0])
    (raw,) = take_inventory(
        [tmp_path / "k.npy"], reference=reference_of(reference_series)
    ).candidates
    series = raw.load()
    assert isinstance(series, RawSeries)
    result = reconstruction_of(raw_series(1, 1))
    image = np.abs(coil_images(shape=shape)).sum(axis=2).astype(np.complex64)
    fitted = replace(result, image=image, uncertainty=np.abs(image), zero_filled=np.abs(image))
    encode_reconstruction(fitted, series, RAW_CONTEXT, tmp_path)
    written = pydicom.dcmread(tmp_path / "images" / "IM00001.dcm")
    source = reference_series.header
    assert source is not None
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"):
        assert written[keyword].value == source[keyword].value
    np.testing.assert_allclose(written.ImagePositionPatient, source.ImagePositionPatient, atol=1e-4)
    # The reference's sequence is not this image's.
    assert "FlipAngle" not in written
    assert written.ScanningSequence == "RM"
    assert complaints(tmp_path / "images" / "IM00001.dcm") == []


def test_partial_fourier_is_told_from_undersampling() -> None:
    full = np.ones((32, 31), dtype=np.bool_)
    assert partial_fourier(full) is None
    assert partial_fourier(np.ones((15, 9), dtype=np.bool_)) is None
    assert partial_fourier(np.arange(32)[:, None] >= np.full((1, 31), 8)) == "rows"
    assert partial_fourier(full & (np.arange(31) > 8)) == "columns"


def test_the_figure_shows_the_error_where_the_truth_is_known(tmp_path: Path) -> None:
    result = reconstruction_of(raw_series(1, 2))
    write_reconstruction_figure(result, tmp_path / "plain.png", spacing_mm=(1.5, 2.0))
    truth = 0.9 * np.abs(result.image)
    write_reconstruction_figure(result, tmp_path / "error.png", truth=truth)
    shapes = [imread(tmp_path / name).shape for name in ("plain.png", "error.png")]
    assert shapes[1][1] / shapes[0][1] == pytest.approx(4 / 3, rel=0.05)
