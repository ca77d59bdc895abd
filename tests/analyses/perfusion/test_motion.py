"""Motion correction against the phantom's true motion."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from pipeline.analyses.perfusion.motion import estimate_shifts, residual_motion_mm
from pipeline.phantom import PhantomSettings, perfusion_phantom


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_phantom_s_motion_is_found(seed: int):
    phantom = perfusion_phantom(
        seed,
        PhantomSettings(n_slices=1, n_beats=45, rows=100, columns=100, pixel_spacing_mm=(2.0, 2.0)),
    )
    centre = center_of_mass(phantom.labels[0] > 0)
    found = estimate_shifts(phantom.image.array[:, 0], centre, (2.0, 2.0))
    true = phantom.shifts_mm[:, 0] - np.median(phantom.shifts_mm[:, 0], axis=0)
    left = np.linalg.norm(found - true, axis=1)
    moved = np.linalg.norm(true, axis=1)
    assert np.median(left) < 1.5
    assert left.mean() < max(1.5, 0.6 * moved.mean())


def test_a_still_series_is_left_alone():
    rng = np.random.default_rng(0)
    still = np.tile(rng.random((80, 80), dtype=np.float32), (20, 1, 1))
    found = estimate_shifts(still, (40.0, 40.0), (2.0, 2.0))
    assert np.abs(found).max() < 0.05


def test_residual_motion_is_the_mean_step_between_beats():
    assert residual_motion_mm(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])) == 2.5
    assert residual_motion_mm(np.zeros((1, 2))) == 0.0
