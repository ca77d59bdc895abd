"""Figures of merit agree with a second implementation, and are what they are at the ends."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline.mr.quality import kspace_residual, nmse, psnr, ssim
from tests.mr.test_fourier import draw


@given(rows=st.integers(7, 30), columns=st.integers(7, 30), scale=st.sampled_from([1e-6, 1, 5e13]))
@settings(deadline=None, max_examples=30)
def test_psnr_and_ssim_agree_with_a_second_implementation(
    rows: int, columns: int, scale: float
) -> None:
    truth = np.abs(draw(1, rows, columns)) * np.float32(scale)
    found = truth + 0.1 * np.abs(draw(2, rows, columns)) * np.float32(scale)
    reach = float(truth.max())
    double = truth.astype(np.float64) / reach, found.astype(np.float64) / reach
    assert psnr(truth, found) == pytest.approx(
        peak_signal_noise_ratio(*double, data_range=1.0), abs=1e-4
    )
    assert ssim(truth, found) == pytest.approx(
        structural_similarity(*double, data_range=1.0), abs=1e-6
    )


def test_the_same_image_is_perfect() -> None:
    image = np.abs(draw(1, 2, 9, 9))
    assert (psnr(image, image), nmse(image, image)) == (math.inf, 0.0)
    assert ssim(image, image) == pytest.approx(1.0)


def test_nothing_at_all_is_an_error_of_one() -> None:
    image = np.abs(draw(1, 9, 9))
    assert nmse(image, np.zeros_like(image)) == pytest.approx(1.0)


def test_the_mean_over_images_is_the_mean_of_their_ssim() -> None:
    truth, found = np.abs(draw(1, 3, 9, 9)), np.abs(draw(2, 3, 9, 9))
    each = [ssim(t, f, data_range=5.0) for t, f in zip(truth, found, strict=True)]
    assert ssim(truth, found, data_range=5.0) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("scale", [1e-20, 1.0, 5e13])
def test_the_residual_counts_measured_samples_only(scale: float) -> None:
    measured = draw(1, 2, 8, 8) * np.float32(scale)
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[::2] = True
    elsewhere = measured.copy()
    elsewhere[:, 1::2] = 9
    assert kspace_residual(measured, elsewhere, mask) == 0.0
    assert kspace_residual(measured, 0 * measured, mask) == pytest.approx(1.0)
    assert kspace_residual(measured, measured * np.float32(1.1), mask) == pytest.approx(
        0.1, rel=1e-3
    )


def test_what_has_no_figure_is_refused() -> None:
    image = np.ones((8, 8), dtype=np.float32)
    with pytest.raises(ValueError, match=r"shapes \(8, 8\) and \(8, 7\)"):
        psnr(image, image[:, :7])
    with pytest.raises(ValueError, match=r"a data range of 0\.0"):
        nmse(0 * image, image)
    with pytest.raises(ValueError, match="SSIM needs at least 7"):
        ssim(image[:6], image[:6])
    with pytest.raises(ValueError, match="nothing but zeros"):
        kspace_residual(0 * draw(1, 2, 8, 8), draw(1, 2, 8, 8), np.ones((8, 8), dtype=np.bool_))
