"""Coil sensitivities and the calibration region: found in two dimensions, and never a NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import NotApplicable
from pipeline.mr.coils import (
    calibration_region,
    coil_sensitivities,
    largest_centre,
    normalised,
    root_sum_of_squares,
)
from pipeline.mr.fourier import fft2c
from pipeline.mr.patterns import PATTERNS, draw_pattern
from tests.mr.test_fourier import draw


@given(
    rows=st.integers(8, 40),
    columns=st.integers(8, 40),
    height=st.integers(4, 8),
    width=st.integers(4, 8),
)
@settings(deadline=None)
def test_a_block_is_found_to_the_sample(rows: int, columns: int, height: int, width: int) -> None:
    mask = np.zeros((rows, columns), dtype=np.bool_)
    top, left = rows // 2 - height // 2, columns // 2 - width // 2
    mask[top : top + height, left : left + width] = True
    found = calibration_region(mask)
    assert (found.rows, found.columns) == (slice(top, top + height), slice(left, left + width))


@pytest.mark.parametrize("shape", [(16, 16), (15, 16), (16, 15), (31, 17)])
def test_all_of_a_full_grid_is_calibration(shape: tuple[int, int]) -> None:
    assert calibration_region(np.ones(shape, dtype=np.bool_)).shape == shape


def test_a_band_of_lines_is_found_with_all_of_the_readout() -> None:
    mask = np.zeros((64, 48), dtype=np.bool_)
    mask[::4] = True
    mask[26:38] = True
    assert calibration_region(mask).shape == (12, 48)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("acceleration", [2, 4, 8])
def test_every_pattern_has_a_centre_that_is_found(name: str, acceleration: int) -> None:
    mask = draw_pattern(name, (180, 231), acceleration, seed=1).mask
    found = calibration_region(mask)
    assert mask[found.rows, found.columns].all()
    assert min(found.shape) >= 6


def test_a_region_that_leans_to_one_side_is_cut_to_its_balanced_part() -> None:
    mask = np.zeros((32, 32), dtype=np.bool_)
    mask[:, 13:] = True
    assert calibration_region(mask).columns == slice(13, 20)


def test_a_mask_without_a_centre_is_refused() -> None:
    mask = np.ones((32, 32), dtype=np.bool_)
    mask[16, 17] = False
    with pytest.raises(NotApplicable, match=r"has \d+ x \d+ samples, coil sensitivities need"):
        calibration_region(mask)
    nothing = np.zeros((32, 32), dtype=np.bool_)
    assert largest_centre(nothing).shape == (0, 0)
    with pytest.raises(NotApplicable, match="has 0 x 0 samples"):
        calibration_region(nothing)


def test_smooth_sensitivities_come_back_where_there_is_signal() -> None:
    y, x = np.mgrid[-1:1:48j, -1:1:40j]
    body = (y**2 + x**2 < 0.6).astype(np.float32)
    true = np.stack([np.exp(-((y - a) ** 2) + 1j * a * x) for a in (-1.0, 0.0, 1.0)])
    true = true / np.sqrt((np.abs(true) ** 2).sum(0))
    kspace = fft2c((body * true).astype(np.complex64))
    found = coil_sensitivities(kspace, calibration_region(np.ones((48, 40), dtype=np.bool_)))
    inside = y**2 + x**2 < 0.4
    # The phase common to all coils is the image's.
    relative = found * np.exp(-1j * np.angle(found[1])) * np.exp(1j * np.angle(true[1]))
    np.testing.assert_allclose(relative[:, inside], true[:, inside], atol=0.02)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0, 5e13])
def test_air_and_silence_give_zeros_and_no_nan_at_any_scale(scale: float) -> None:
    images = draw(3, 4, 8, 8) * np.float32(scale)
    images[:, :4] = 0
    found = normalised(images.astype(np.complex64))
    assert np.isfinite(found).all()
    assert not found[:, :4].any()
    power = (np.abs(found[:, 4:]) ** 2).sum(0)
    np.testing.assert_allclose(power, 1.0 if scale else 0.0, atol=1e-3)
    assert np.isfinite(root_sum_of_squares(images)).all()
