"""Motion correction against the phantom's true motion."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass

from pipeline.analyses.perfusion.deform import LEAST_JACOBIAN, deformations, jacobian, unfolded
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.motion import estimate_shifts, motion_mm
from pipeline.analyses.perfusion.peaks import refined_peaks
from pipeline.analyses.perfusion.residual import remaining_shifts, residual_motion_mm
from pipeline.phantom import Phantom, PhantomSettings, perfusion_phantom

SMALL = PhantomSettings(n_slices=1, n_beats=45, rows=100, columns=100)
STILL_SEEDS = (1, 7, 11)
"""Phantoms of the full ranges that do not move."""


def square_of(phantom: Phantom, shifts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the beats around the heart, corrected by shifts from the mean position."""
    row, column = center_of_mass(phantom.labels[0] > 0)
    grid = SliceGrid(centre=(row, column), pixel_spacing_mm=(2.0, 2.0), size=80, spacing_mm=2.0)
    return grid.resample(phantom.image.array[:, 0], shifts)


def errors_mm(phantom: Phantom) -> NDArray[np.float64]:
    """Return how far each beat's estimated position lies from the true one [mm]."""
    true = phantom.shifts_mm[:, 0]
    centre = np.array(center_of_mass(phantom.labels[0] > 0)) + np.median(true, axis=0) / 2.0
    found = estimate_shifts(phantom.image.array[:, 0], (centre[0], centre[1]), (2.0, 2.0))
    off: NDArray[np.float64] = np.linalg.norm(
        found - np.median(found, axis=0) - true + np.median(true, axis=0), axis=1
    )
    return off


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_phantom_s_motion_is_found(seed: int):
    left = errors_mm(perfusion_phantom(seed, SMALL))
    assert left.mean() < 0.8
    assert np.median(left) < 0.8


@pytest.mark.parametrize("seed", [1, 5, 6, 12])
def test_a_breath_that_moves_the_heart_by_25_mm_is_followed(seed: int):
    phantom = perfusion_phantom(
        seed, PhantomSettings(n_slices=1, n_beats=50, rows=112, columns=112, jump_mm=25.0)
    )
    true = phantom.shifts_mm[:, 0]
    assert np.ptp(true, axis=0).max() > 20
    assert errors_mm(phantom).mean() < 1.0


def test_a_still_series_is_left_alone():
    rng = np.random.default_rng(0)
    still = np.tile(rng.random((80, 80), dtype=np.float32), (20, 1, 1))
    found = estimate_shifts(still, (40.0, 40.0), (2.0, 2.0))
    assert np.abs(found).max() < 0.05


@pytest.mark.parametrize("n_beats", [1, 2, 3])
def test_few_beats_without_any_contrast_have_no_motion(n_beats: int):
    blank = np.zeros((n_beats, 60, 60), dtype=np.float32)
    found = estimate_shifts(blank, (30.0, 30.0), (2.0, 2.0))
    assert found.shape == (n_beats, 2)
    assert np.isfinite(found).all()
    assert remaining_shifts(blank, 2.0).shape == (n_beats, 2)


def test_motion_is_the_mean_step_between_beats():
    assert motion_mm(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])) == 2.5
    assert motion_mm(np.zeros((1, 2))) == 0.0


def test_what_is_left_is_the_mean_distance():
    assert residual_motion_mm(np.array([[3.0, 4.0], [0.0, 0.0]])) == 2.5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_left_of_motion_that_was_undone(seed: int):
    phantom = perfusion_phantom(seed, SMALL)
    left = remaining_shifts(square_of(phantom, phantom.shifts_mm[:, 0]), 2.0)
    assert residual_motion_mm(left) < 0.6


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("beats", [slice(20, 21), slice(30, 45)])
def test_a_beat_or_a_stretch_that_was_put_wrong_is_told(seed: int, beats: slice):
    phantom = perfusion_phantom(seed, SMALL)
    shifts = phantom.shifts_mm[:, 0].copy()
    shifts[beats] += (8.0, -6.0)
    left = remaining_shifts(square_of(phantom, shifts), 2.0)
    # The heart lies where the correction did not look for it: on the other side.
    np.testing.assert_allclose(left[beats].mean(axis=0), (-8.0, 6.0), atol=1.5)
    assert np.linalg.norm(left[:20], axis=1).mean() < 1.0


@pytest.mark.parametrize("seed", STILL_SEEDS)
def test_a_heart_that_does_not_move_is_hardly_deformed(seed: int):
    phantom = perfusion_phantom(
        seed, PhantomSettings(n_slices=1, n_beats=45, rows=100, columns=100, randomise=True)
    )
    assert (phantom.shifts_mm == 0).all()
    square = square_of(phantom, phantom.shifts_mm[:, 0])
    row, column = center_of_mass(phantom.labels[0] > 0)
    grid = SliceGrid(centre=(row, column), pixel_spacing_mm=(2.0, 2.0), size=80, spacing_mm=2.0)
    heart = grid.resample((phantom.labels > 0).astype(np.float32), np.zeros((1, 2)))[0] > 0.5
    fields = deformations(square, 2.0)
    assert 2.0 * np.linalg.norm(fields, axis=1)[:, heart].mean() < 0.3
    assert min(jacobian(field).min() for field in fields) >= LEAST_JACOBIAN


def test_a_field_that_folds_is_made_smaller_until_it_does_not():
    field = np.zeros((2, 20, 20), dtype=np.float32)
    field[0, 10:] = -8.0
    assert jacobian(field).min() < 0
    assert jacobian(unfolded(field)).min() >= LEAST_JACOBIAN


def test_a_peak_between_points_is_found():
    rows, columns = np.indices((9, 9))
    hill = -((rows - 4.3) ** 2) - (columns - 2.8) ** 2
    np.testing.assert_allclose(refined_peaks(hill[None])[0], (0.3, -1.2), atol=1e-9)
    at_the_border = -((rows - 8.0) ** 2.0) - columns**2.0
    np.testing.assert_allclose(refined_peaks(at_the_border[None])[0], (4.0, -4.0))
