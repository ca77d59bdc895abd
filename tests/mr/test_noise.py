"""Prewhitening: unit noise that is unrelated between coils, and refusals where it is unknown."""

import numpy as np
import pytest

from pipeline.errors import InconsistentSeries
from pipeline.mr.noise import noise_covariance, prewhiten
from tests.mr.test_fourier import draw

MIXING = np.array([[2, 0.5j, 0.1], [0.3, 1, 0.2j], [0, 0.4, 3]])


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_white_noise_comes_out_whatever_went_in(scale: float) -> None:
    noise = (scale * MIXING @ draw(1, 3, 4000)).astype(np.complex64)
    data = (scale * MIXING @ draw(2, 3, 4000)).astype(np.complex64)
    white = prewhiten(data.reshape(3, 40, 100), noise_covariance(noise), axis=0)
    assert white.dtype == np.complex64
    np.testing.assert_allclose(noise_covariance(white.reshape(3, -1)), np.eye(3), atol=0.08)


def test_coils_are_found_on_any_axis_and_a_zero_stays_a_zero() -> None:
    covariance = noise_covariance((MIXING @ draw(1, 3, 400)).astype(np.complex64))
    data = draw(2, 2, 3, 5, 4)
    data[:, :, 1] = 0
    white = prewhiten(data, covariance, axis=1)
    assert white.shape == data.shape
    assert not white[:, :, 1].any()
    np.testing.assert_allclose(white[1], prewhiten(data[1], covariance, axis=0), atol=1e-5)


def test_a_wider_band_has_more_noise() -> None:
    noise = draw(1, 3, 4000)
    np.testing.assert_allclose(noise_covariance(noise, 2.0), 2 * noise_covariance(noise))


def test_noise_that_says_nothing_is_refused() -> None:
    with pytest.raises(InconsistentSeries, match="3 noise samples of 3 coils, more are needed"):
        noise_covariance(draw(1, 3, 3))
    data = draw(1, 3, 8)
    with pytest.raises(InconsistentSeries, match="noise of 2 coils, data of 3"):
        prewhiten(data, noise_covariance(draw(1, 2, 9)), axis=0)
    with pytest.raises(InconsistentSeries, match="the noise samples are zero"):
        prewhiten(data, np.zeros((3, 3), dtype=np.complex128), axis=0)
    twice = draw(1, 3, 50)
    twice[1] = 0
    with pytest.raises(InconsistentSeries, match="zero or a copy"):
        prewhiten(data, noise_covariance(twice), axis=0)
