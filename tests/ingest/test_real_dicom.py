"""Real MR of five vendors, against the NIfTI that comes with it."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.inventory import Candidate, Inventory, take_inventory
from tests.support.realdata import real_data

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def at_points(path: Path, points_mm: np.ndarray) -> np.ndarray:
    """Return the values of a NIfTI file at points in LPS+ [mm], which must be voxel centres."""
    image = nibabel.load(path)
    indices = np.linalg.inv(LPS_FROM_RAS @ image.affine) @ points_mm
    nearest = np.rint(indices[:3]).astype(int)
    assert np.abs(indices[:3] - nearest).max() < 0.02
    values: np.ndarray = np.asarray(image.dataobj)[tuple(nearest)]
    return values


def centres_mm(series: TimeSeries) -> np.ndarray:
    """Return where the voxels lie, LPS+ [mm]. Shape ``(4, voxels)``."""
    grid = np.indices(series.array.shape[1:]).reshape(3, -1)
    return series.affine @ np.vstack([grid, np.ones(grid.shape[1])])


@pytest.mark.parametrize(
    ("vendor", "truth"),
    [
        ("ge", "001_ground_truth.nii.gz"),
        ("philips", "001_ground_truth.nii.gz"),
        ("philips_enhanced", "001_ground_truth.nii.gz"),
        ("siemens", "001_ground_truth.nii.gz"),
        ("siemens_multiframe", "001_ground_truth.nii.gz"),
        ("siemens_multiframe", "001_ground_truth_reoriented.nii.gz"),
    ],
)
def test_every_voxel_lies_where_the_truth_has_it(vendor: str, truth: str) -> None:
    folder = real_data("dicom", "dicom2nifti", vendor, "anatomical")
    series = only(take_inventory([folder / "001"])).load().image
    expected = at_points(folder / truth, centres_mm(series)).ravel()
    np.testing.assert_allclose(series.array[0].ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("dicom2nifti/hitachi/anatomical/001", (1, 4, 64, 64)),
        ("dicom2nifti/hyperfine/anatomical/001", (1, 8, 138, 112)),
        ("dicom2nifti/philips_enhanced/fmri/001", (4, 8, 64, 64)),
        ("dicom2nifti/philips_enhanced/dti/001", (4, 8, 128, 128)),
        ("dicom2nifti/siemens/dti_classic/001", (2, 4, 192, 192)),
        ("dcm_qa_enh/Siemens/XA10", (4, 6, 64, 64)),
        ("mr_t1w_mprage_pddl", (1, 40, 384, 274)),
    ],
)
def test_slices_and_beats_are_told_apart(path: str, shape: tuple[int, ...]) -> None:
    candidate = only(take_inventory([real_data("dicom", *path.split("/"))]))
    assert candidate.load().image.array.shape == shape
    assert (candidate.n_beats, candidate.n_slices) == shape[:2]


def test_the_frame_times_of_an_enhanced_series_are_its_own() -> None:
    """The volumes of this series are half a second apart; its repetition time is not."""
    series = only(take_inventory([real_data("dicom", "dcm_qa_enh", "Siemens", "XA10")])).load()
    np.testing.assert_allclose(np.diff(series.image.times_s, axis=0), 0.5, atol=1e-6)


def test_the_step_of_a_real_ge_first_pass_is_its_heart_beat() -> None:
    """dcm2niix says 7 ms, the repetition time; SimpleITK says 79 slices."""
    series = only(take_inventory([real_data("perfusion", "ge_dicom")])).load()
    assert series.image.array.shape == (79, 1, 256, 256)
    assert np.median(np.diff(series.image.times_s[:, 0])) == pytest.approx(0.698, abs=5e-4)
    assert not series.image.times_are_estimated
    assert series.image.spacing_mm[1:] == pytest.approx((1.406246185, 1.40622413))


def test_the_frames_of_the_real_ge_first_pass_are_in_the_order_of_their_truth() -> None:
    folder = real_data("perfusion", "ge_dicom")
    series = only(take_inventory([folder])).load()
    with np.load(folder / "masks.npz") as masks:
        blood = masks["lv"] > 0
    curve = series.image.array[:, 0][:, blood].mean(axis=1)
    assert curve[:5].mean() < 0.5 * curve.max()
    assert np.abs(np.diff(curve)).max() < 0.5 * np.ptp(curve)


@pytest.mark.parametrize("path", ["ax/axasc36b", "cor/corint36", "sag/sagasc35"])
def test_a_mosaic_is_refused_rather_than_placed_as_one_slice(path: str) -> None:
    inventory = take_inventory([real_data("dicom", "dcm_qa_orientation", *path.split("/"))])
    assert not inventory.candidates
    assert "mosaic" in inventory.refusals[0].reason


def test_videos_are_listed_and_not_loaded() -> None:
    inventory = take_inventory([real_data("dicom", "video")])
    assert [c.modality for c in inventory.candidates] == ["ES"] * 3
    assert not inventory.refusals


def only(inventory: Inventory) -> Candidate:
    """Return the only candidate."""
    (candidate,) = inventory.candidates
    return candidate
