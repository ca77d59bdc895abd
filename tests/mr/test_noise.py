"""Prewhitening: unit noise that is unrelated between coils, and refusals where it is unknown."""

import numpy as np
import pytest

from pipeline.errors import InconsistentSeries
from pipeline.mr.noise import estimated_noise, noise_covariance
from pipeline.mr.patterns import draw_pattern
from pipeline.mr.prewhiten import prewhiten
from tests.mr.test_fourier import draw
from tests.support.reconstruction import disc_kspace

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


@pytest.mark.parametrize("n_coils", [8, 15])
@pytest.mark.parametrize("level", [0.0005, 0.01, 2e10])
def test_noise_is_found_in_data_whose_source_did_not_measure_it(n_coils: int, level: float) -> None:
    rng = np.random.default_rng(3)
    scale = np.float32(max(1.0, 100 * level))
    noise = rng.standard_normal((n_coils, 96, 96, 2), dtype=np.float32) @ np.array([1, 1j])
    kspace = disc_kspace((96, 96), n_coils=n_coils) * scale + noise * np.float32(level / 2**0.5)
    mask = draw_pattern("random", (96, 96), 4.0, 1).mask
    # The disc has noise of its own.
    true = np.hypot(level, 0.005 * 2**0.5 * scale)
    found = estimated_noise((kspace * mask).astype(np.complex64), mask)
    assert found == pytest.approx(true, rel=0.2)


def test_silence_has_no_noise() -> None:
    mask = np.ones((16, 16), dtype=np.bool_)
    assert estimated_noise(np.zeros((4, 16, 16), dtype=np.complex64), mask) == 0.0
