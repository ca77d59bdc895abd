"""The estimate of the coils that predicts samples best is the one that is used."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.analyses.reconstruction.sensitivities import coarse_coils
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import ifft2c
from pipeline.mr.patterns import draw_pattern
from tests.support.reconstruction import disc_kspace

GRID = (64, 64)


def _explained(maps: NDArray[np.complex64], full: NDArray[np.complex64]) -> float:
    """Return the share of the full images' power that sensitivities explain."""
    middle = full[:, 16:-16, 16:-16] if full.shape[1] == 96 else full
    images = ifft2c(np.ascontiguousarray(middle))
    seen = np.abs((maps.conj() * images).sum(0)) ** 2
    return float(seen.sum() / (root_sum_of_squares(images) ** 2).sum())


@pytest.mark.parametrize(
    ("pattern", "acceleration"), [("gaussian", 4), ("random", 4), ("poisson", 4)]
)
def test_what_is_chosen_explains_the_full_data(pattern: str, acceleration: float) -> None:
    full = disc_kspace((96, 96), n_coils=8)
    mask = draw_pattern(pattern, (96, 96), acceleration, 1).mask
    found = coarse_coils(raw_slice(full * mask, mask), GRID, threads=1)
    assert _explained(found.maps, full) > 0.99


def test_threads_change_nothing() -> None:
    mask = draw_pattern("random", (96, 96), 4, 1).mask
    samples = disc_kspace((96, 96)) * mask
    one, two = (coarse_coils(raw_slice(samples, mask), GRID, threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.maps, two.maps)
    np.testing.assert_array_equal(one.brightness, two.brightness)


def test_samples_of_any_size_give_the_same_maps() -> None:
    mask = draw_pattern("random", (96, 96), 4, 1).mask
    samples = disc_kspace((96, 96)) * mask
    small = coarse_coils(raw_slice(samples, mask), GRID, threads=1)
    large = coarse_coils(raw_slice(samples * np.float32(5e13), mask), GRID, threads=1)
    np.testing.assert_allclose(large.maps, small.maps, atol=2e-3)
    np.testing.assert_allclose(large.brightness, small.brightness * 5e13, rtol=1e-4)


def test_silence_has_no_coils() -> None:
    mask = draw_pattern("random", (96, 96), 4, 1).mask
    nothing = np.zeros((3, 96, 96), dtype=np.complex64)
    found = coarse_coils(raw_slice(nothing, mask), GRID, threads=1)
    assert not found.maps.any()
    assert not found.brightness.any()
