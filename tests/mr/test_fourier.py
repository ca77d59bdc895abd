"""The Fourier transform: unitary, centred, single precision, at even and odd sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.mr.fourier import (
    centred,
    crop,
    fft1c,
    fft2c,
    ifft1c,
    ifft2c,
    without_oversampling,
)

SIZES = st.integers(1, 24)


def draw(seed: int, *shape: int) -> NDArray[np.complex64]:
    """Return complex noise."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


@given(rows=SIZES, columns=SIZES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_round_trip_moves_nothing(rows: int, columns: int, seed: int) -> None:
    image = draw(seed, 2, rows, columns)
    before = image.copy()
    back = ifft2c(fft2c(image))
    assert back.dtype == np.complex64
    np.testing.assert_allclose(back, image, atol=1e-5)
    np.testing.assert_array_equal(image, before)


@given(rows=SIZES, columns=SIZES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_the_inverse_is_the_adjoint(rows: int, columns: int, seed: int) -> None:
    image, kspace = draw(seed, rows, columns), draw(seed + 1, rows, columns)
    assert np.vdot(kspace, fft2c(image)) == pytest.approx(
        np.vdot(ifft2c(kspace), image), rel=1e-4, abs=1e-3
    )


@given(rows=SIZES, columns=SIZES)
@settings(deadline=None)
def test_the_origin_is_the_middle_of_both_domains(rows: int, columns: int) -> None:
    point = np.zeros((rows, columns), dtype=np.complex64)
    point[rows // 2, columns // 2] = 1
    flat = np.full((rows, columns), 1 / np.sqrt(rows * columns), dtype=np.complex64)
    np.testing.assert_allclose(fft2c(point), flat, atol=1e-6)
    np.testing.assert_allclose(ifft2c(point), flat, atol=1e-6)


@given(rows=SIZES, columns=SIZES, seed=st.integers(0, 99))
@settings(deadline=None)
def test_one_axis_after_the_other_is_both_at_once(rows: int, columns: int, seed: int) -> None:
    image = draw(seed, rows, columns)
    np.testing.assert_allclose(fft1c(fft1c(image, 0), 1), fft2c(image), atol=1e-4)
    np.testing.assert_allclose(ifft1c(ifft1c(image, 0), 1), ifft2c(image), atol=1e-4)


@given(n=SIZES, size=SIZES)
def test_a_crop_keeps_the_origin_at_the_origin(n: int, size: int) -> None:
    if size > n:
        with pytest.raises(ValueError, match=f"{size} of {n} indices"):
            centred(n, size)
    else:
        assert np.arange(n)[centred(n, size)][size // 2] == n // 2


@pytest.mark.parametrize("size", [5, 6, 9])
def test_oversampling_is_removed_in_image_space_and_lines_stay_lines(size: int) -> None:
    image = draw(1, 3, 8, 12)
    kspace = fft2c(image)
    kspace[:, 2] = 0
    cut = without_oversampling(kspace, size)
    assert cut.shape == (3, 8, size)
    assert cut.dtype == np.complex64
    assert not cut[:, 2].any()
    np.testing.assert_allclose(ifft2c(cut), crop(ifft2c(kspace), (8, size)), atol=1e-5)
