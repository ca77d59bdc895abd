"""Kernels follow the resolution, are isotropic in millimetres, and move nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import convolve

from pipeline.analyses.reconstruction.basis import (
    N_BASIS,
    disc_basis,
    image_basis,
    kspace_basis,
)

RADII = st.floats(0.4, 8.0)


@given(RADII, RADII)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_sizes_are_odd_and_the_centre_is_the_middle(rows: float, columns: float):
    basis = disc_basis(rows, columns)
    assert basis.shape[0] == N_BASIS
    assert basis.shape[1] % 2 == basis.shape[2] % 2 == 1
    # The first function is the round one: it looks the same from both ends of each axis.
    np.testing.assert_allclose(basis[0], basis[0, ::-1], atol=1e-5)
    np.testing.assert_allclose(basis[0], basis[0, :, ::-1], atol=1e-5)


@given(RADII, RADII)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_no_kernel_moves_an_image_by_part_of_a_pixel(rows: float, columns: float):
    basis = disc_basis(rows, columns)
    down = np.arange(basis.shape[1]) - basis.shape[1] // 2
    right = np.arange(basis.shape[2]) - basis.shape[2] // 2
    for ring in (basis[:1], basis[1:5], basis[5:]):
        whole = ring.sum(axis=0)
        assert abs((whole * down[:, None]).sum()) < 1e-4
        assert abs((whole * right[None, :]).sum()) < 1e-4


@given(RADII, RADII)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_answer_to_a_constant_image_does_not_depend_on_the_grid(rows: float, columns: float):
    sums = disc_basis(rows, columns).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, disc_basis(3.2, 3.2).sum(axis=(1, 2)), rtol=1e-4, atol=1e-4)


def test_functions_are_orthonormal_where_the_disc_is_two_pixels_wide():
    flat = disc_basis(2.0, 2.0).reshape(N_BASIS, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(N_BASIS), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((160, 160), (3, 3)), ((230, 180), (5, 5)), ((320, 320), (7, 7)), ((640, 640), (13, 13))],
)
def test_kernels_grow_with_the_matrix(shape: tuple[int, int], size: tuple[int, int]):
    assert image_basis(shape, (1.0, 1.0), 0.01).shape[1:] == size


def test_a_matrix_that_is_not_square_gets_a_kernel_that_is_isotropic_in_millimetres():
    spacing = (0.5, 1.5)
    round_function = image_basis((480, 160), spacing, 0.02)[0]
    assert round_function.shape[0] > 2 * round_function.shape[1]
    y = (np.arange(97) - 48)[:, None] * spacing[0]
    x = (np.arange(33) - 16)[None, :] * spacing[1]
    answer = convolve(np.exp(-(y**2 + x**2) / (2 * 5.0**2)), round_function)
    # The same distance from the middle, along either axis.
    np.testing.assert_allclose(answer[48::3, 16][:9], answer[48, 16:][:9], rtol=0.02)


def test_kernels_in_kspace_do_not_grow_with_the_matrix():
    assert kspace_basis((160, 160), (2.0, 2.0), 2.2).shape == (9, 5, 5)
    assert kspace_basis((320, 320), (1.0, 1.0), 2.2).shape == (9, 5, 5)
    assert kspace_basis((320, 160), (1.0, 1.0), 2.2).shape == (9, 7, 3)


def test_one_kernel_gives_one_answer_at_two_resolutions():
    """The convolution of a smooth function at half the spacing is that at the whole, sampled."""
    weights = np.random.default_rng(0).normal(size=N_BASIS)
    coarse, fine = _answer(160, weights), _answer(480, weights)
    at_the_same_places = fine[1::3, 1::3]
    inside = np.s_[10:-10, 10:-10]
    error = np.abs(at_the_same_places - coarse)[inside].max()
    assert error < 0.03 * np.abs(coarse).max()


def _answer(n: int, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a DISCO convolution of a smooth function on the unit square."""
    at = (np.arange(n) + 0.5) / n
    image = np.sin(9 * at)[:, None] * np.cos(7 * at + 1)[None, :] + at[:, None]
    kernel = np.tensordot(weights, image_basis((n, n), (1.0, 1.0), 0.02), axes=1)
    found: NDArray[np.float64] = convolve(image, kernel[::-1, ::-1])
    return found
