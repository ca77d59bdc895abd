"""The measurement as an operator: adjoint to itself, and right where it can be inverted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.mr.coils import normalised, root_sum_of_squares
from pipeline.mr.fourier import fft2c
from pipeline.mr.sense import adjoint, forward, zero_filled_rss, zero_filled_sense
from tests.mr.test_fourier import draw


@given(rows=st.integers(2, 20), columns=st.integers(2, 20), seed=st.integers(0, 99))
@settings(deadline=None)
def test_the_adjoint_is_the_adjoint(rows: int, columns: int, seed: int) -> None:
    image, kspace = draw(seed, rows, columns), draw(seed + 1, 3, rows, columns)
    maps = draw(seed + 2, 3, rows, columns)
    mask = np.random.default_rng(seed).uniform(size=(rows, columns)) < 0.4
    left = np.vdot(kspace, forward(image, maps, mask))
    right = np.vdot(adjoint(kspace, maps, mask), image)
    assert left == pytest.approx(right, rel=1e-3, abs=1e-2)
    assert forward(image, maps, mask).dtype == np.complex64
    assert adjoint(kspace, maps, mask).dtype == np.complex64


def test_fully_sampled_data_give_the_image_back() -> None:
    image, maps = draw(1, 12, 9), normalised(draw(2, 4, 12, 9))
    full = np.ones((12, 9), dtype=np.bool_)
    kspace = forward(image, maps, full)
    np.testing.assert_allclose(zero_filled_sense(kspace, maps), image, atol=1e-3)
    np.testing.assert_allclose(zero_filled_rss(kspace), np.abs(image), atol=1e-3)


def test_the_root_sum_of_squares_keeps_leading_axes() -> None:
    images = draw(1, 2, 3, 4, 5, 6)
    found = zero_filled_rss(fft2c(images))
    assert found.shape == (2, 3, 5, 6)
    np.testing.assert_allclose(found, np.sqrt((np.abs(images) ** 2).sum(2)), rtol=1e-4)
    assert root_sum_of_squares(images).dtype == np.float32
