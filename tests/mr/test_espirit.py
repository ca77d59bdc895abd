"""ESPIRiT: true sensitivities from a centre too small to show them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.mr.espirit import espirit_maps, reference_coil, with_phase_of
from pipeline.mr.fourier import fft2c
from tests.mr.test_fourier import draw

GRID = (64, 48)


def _seen_disc(n_coils: int) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return the k-space of a textured disc, and the true sensitivities."""
    y, x = np.mgrid[-1 : 1 : GRID[0] * 1j, -1 : 1 : GRID[1] * 1j]
    body = (y**2 + x**2 < 0.6) * (1 + 0.3 * np.sin(9 * y) * np.cos(7 * x))
    angles = 2 * np.pi * np.arange(n_coils) / n_coils
    true = np.stack(
        [np.exp(-((y - np.cos(a)) ** 2) - (x - np.sin(a)) ** 2 + 1j * (a + y)) for a in angles]
    )
    true = true / np.sqrt((np.abs(true) ** 2).sum(0))
    return fft2c((body * true).astype(np.complex64)), true.astype(np.complex64)


def _centre(kspace: NDArray[np.complex64], rows: int, columns: int) -> NDArray[np.complex64]:
    top, left = GRID[0] // 2 - rows // 2, GRID[1] // 2 - columns // 2
    return kspace[:, top : top + rows, left : left + columns]


@pytest.mark.parametrize(
    ("centre", "window"), [((8, 8), (3, 3)), ((6, 24), (3, 6)), ((24, 24), (6, 6))]
)
def test_the_true_sensitivities_come_from_a_small_centre(
    centre: tuple[int, int], window: tuple[int, int]
) -> None:
    kspace, true = _seen_disc(6)
    calibration = _centre(kspace, *centre)
    found = espirit_maps(calibration, window, GRID)
    expected = with_phase_of(true, reference_coil(calibration))
    y, x = np.mgrid[-1 : 1 : GRID[0] * 1j, -1 : 1 : GRID[1] * 1j]
    inside = y**2 + x**2 < 0.5
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=0.06)


def test_they_are_better_than_the_images_of_the_centre() -> None:
    kspace, true = _seen_disc(6)
    calibration = _centre(kspace, 8, 8)
    window = np.zeros(GRID, dtype=np.float32)
    window[28:36, 20:28] = 1
    images = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(kspace * window, axes=(1, 2))), axes=(1, 2)
    )
    images /= np.sqrt((np.abs(images) ** 2).sum(0))
    y, x = np.mgrid[-1 : 1 : GRID[0] * 1j, -1 : 1 : GRID[1] * 1j]
    inside = y**2 + x**2 < 0.5

    def error(maps: NDArray[np.complex64]) -> float:
        seen = np.abs((maps.conj() * true).sum(0))[inside]
        return float(np.mean(1 - seen**2))

    assert error(espirit_maps(calibration, (3, 3), GRID)) < 0.2 * error(images)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 5e13])
def test_scale_changes_nothing(scale: float) -> None:
    calibration = _centre(_seen_disc(4)[0], 8, 8)
    found = espirit_maps((calibration * np.float32(scale)).astype(np.complex64), (3, 3), GRID)
    np.testing.assert_allclose(found, espirit_maps(calibration, (3, 3), GRID), atol=2e-3)


def test_more_samples_in_a_window_than_windows_give_unit_maps_too() -> None:
    calibration = _centre(_seen_disc(4)[0], 10, 10)
    found = espirit_maps(calibration, (8, 8), GRID)
    np.testing.assert_allclose((np.abs(found) ** 2).sum(0), 1.0, atol=1e-4)


def test_one_coil_is_one_everywhere() -> None:
    found = espirit_maps(draw(0, 1, 8, 8), (3, 3), GRID)
    np.testing.assert_allclose(found, 1.0, atol=1e-5)


def test_silence_gives_no_nan() -> None:
    assert np.isfinite(espirit_maps(np.zeros((3, 8, 8), np.complex64), (3, 3), GRID)).all()
