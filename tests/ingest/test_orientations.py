"""DICOM to NIfTI and back keeps every voxel where it is, in every orientation."""

import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from pipeline.demo import write_study
from pipeline.imaging.nifti import read_time_series, write_time_series
from pipeline.ingest.inventory import take_inventory
from tests.support.geometry import (
    affine_of,
    ascending,
    axis_orientations,
    farthest_mm,
    oblique_affines,
    series_on,
)

SPACING_MM = (9.0, 2.25, 1.5)


def assert_round_trip(affine: NDArray[np.float64], folder: Path) -> None:
    """Assert that a series goes through DICOM and NIfTI without moving."""
    image = series_on(affine)
    shape = image.array.shape[1:]
    write_study(image, folder / "dicom", name="round trip")
    (candidate,) = take_inventory([folder / "dicom"]).candidates
    dicom = candidate.load().image
    np.testing.assert_array_equal(dicom.array, image.array)
    assert farthest_mm(dicom.affine, affine, shape) < 1e-4
    path = folder / "series.nii.gz"
    write_time_series(dicom, path, 0.8)
    nifti = read_time_series(path)
    np.testing.assert_array_equal(nifti.array, image.array)
    assert farthest_mm(nifti.affine, affine, shape) < 1e-4
    np.testing.assert_allclose(np.diff(nifti.times_s, axis=0), 0.8, atol=1e-6)


@pytest.mark.parametrize("directions", axis_orientations())
def test_all_48_orientations_keep_every_voxel(
    directions: NDArray[np.float64], tmp_path: Path
) -> None:
    assert_round_trip(affine_of(ascending(directions), SPACING_MM, (-40.0, 25.5, 110.25)), tmp_path)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(affine=oblique_affines())
def test_oblique_orientations_keep_every_voxel(affine: NDArray[np.float64]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_round_trip(affine, Path(folder))


@pytest.mark.parametrize("directions", axis_orientations())
def test_a_nifti_file_of_either_handedness_keeps_every_voxel(
    directions: NDArray[np.float64], tmp_path: Path
) -> None:
    """24 of the 48 are left-handed: their slices are turned round, rows and columns never."""
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_of(directions, (2.0, 1.5, 9.0), (5.0, -7.0, 3.0))
    values = np.random.default_rng(0).permutation(5 * 6 * 3 * 2).reshape(5, 6, 3, 2)
    path = tmp_path / "any.nii"
    nibabel.Nifti1Image(values.astype(np.int16), ras).to_filename(path)
    series = read_time_series(path)
    assert np.cross(series.affine[:3, 2], series.affine[:3, 1]) @ series.affine[:3, 0] > 0
    stored = nibabel.load(path).affine
    for i, j, k in np.ndindex(5, 6, 3):
        point = np.diag([-1.0, -1.0, 1.0, 1.0]) @ stored @ [i, j, k, 1]
        found = np.rint(np.linalg.inv(series.affine) @ point)[:3].astype(int)
        assert (found[1], found[2]) == (j, i)
        np.testing.assert_array_equal(series.array[:, *found], values[i, j, k])
