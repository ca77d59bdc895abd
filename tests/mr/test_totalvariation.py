"""The classical reconstruction: the least of its objective, and like an independent solver's."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.mr.coils import largest_centre, normalised, root_sum_of_squares
from pipeline.mr.espirit import espirit_maps
from pipeline.mr.fourier import ifft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.mr.quality import psnr
from pipeline.mr.sense import forward
from pipeline.mr.totalvariation import least_variation, total_variation
from pipeline.peers import bart_missing
from tests.mr.test_fourier import draw
from tests.support.realdata import real_data
from tests.support.reconstruction import disc_kspace


def objective(
    image: NDArray[np.complex64],
    data: tuple[NDArray[np.complex64], NDArray[np.complex64], NDArray[np.bool_]],
    weight: float,
) -> float:
    kspace, maps, mask = data
    misfit = forward(image, maps, mask) - kspace
    return 0.5 * float(np.linalg.norm(misfit)) ** 2 + weight * total_variation(image)


def blocks(
    shape: tuple[int, int], acceleration: float
) -> tuple[NDArray[np.complex64], tuple[NDArray[np.complex64], ...]]:
    """Return an image of few levels, and its samples, sensitivities and mask."""
    rows, columns = shape
    image = np.zeros(shape, dtype=np.complex64)
    image[rows // 8 : rows // 2, columns // 6 : columns // 2] = 1.0
    image[rows // 3 : -rows // 5, columns // 3 : -columns // 5] = 0.6j
    ramps = [np.linspace(0.1, 1.0, n)[:, None] * np.ones(shape) for n in (rows,)]
    coils = [ramps[0], ramps[0][::-1], ramps[0] * 1j, np.ones(shape)]
    maps = normalised(np.array(coils, dtype=np.complex64))
    mask = draw_pattern("poisson", shape, acceleration, 1).mask
    return image, (forward(image, maps, mask), maps, mask)


@pytest.mark.parametrize("shape", [(48, 40), (47, 41)], ids=str)
def test_a_piecewise_constant_image_comes_back_from_a_quarter_of_its_samples(
    shape: tuple[int, int],
) -> None:
    image, data = blocks(shape, 4.0)
    found = least_variation(*data, weight=1e-3, iterations=500)
    assert np.linalg.norm(found - image) < 0.01 * np.linalg.norm(image)


def test_no_image_nearby_explains_the_samples_with_less() -> None:
    _, data = blocks((24, 20), 3.0)
    found = least_variation(*data, weight=0.02, iterations=3000)
    least = objective(found, data, 0.02)
    for seed in range(20):
        for size in (1e-1, 1e-2, 1e-3):
            moved = found + np.complex64(size) * draw(seed, 24, 20)
            assert objective(moved, data, 0.02) > least


def test_steps_come_near_and_a_weight_of_none_is_plain_sense() -> None:
    image, data = blocks((32, 32), 2.0)
    reached = [
        objective(least_variation(*data, weight=0.01, iterations=n), data, 0.01)
        for n in (0, 10, 30, 1000)
    ]
    assert reached == sorted(reached, reverse=True)
    assert reached[2] - reached[3] < 0.05 * (reached[0] - reached[3])
    plain = least_variation(*data, weight=0.0, iterations=1000)
    assert np.linalg.norm(forward(plain, *data[1:]) - data[0]) < 1e-3 * np.linalg.norm(data[0])
    assert np.isfinite(plain).all()
    assert np.abs(image).max() == pytest.approx(1.0)


def test_samples_without_signal_give_an_empty_image() -> None:
    maps, mask = np.zeros((2, 8, 8), np.complex64), np.zeros((8, 8), np.bool_)
    found = least_variation(np.zeros_like(maps), maps, mask, weight=0.1, iterations=5)
    assert found.shape == (8, 8)
    assert not found.any()


def test_real_data_come_out_better_than_zero_filled() -> None:
    kspace = np.load(real_data("kspace", "phantom_16ch", "kspace.npy"))
    truth = root_sum_of_squares(ifft2c(kspace))
    mask = draw_pattern("poisson", kspace.shape[1:], 4.0, 1).mask
    samples = (kspace * mask).astype(np.complex64)
    centre = largest_centre(mask)
    maps = espirit_maps(samples[:, centre.rows, centre.columns], (6, 6), kspace.shape[1:])
    plain = root_sum_of_squares(ifft2c(samples))
    level = float(np.percentile(plain, 99))
    found = least_variation(samples / np.float32(level), maps, mask, weight=0.002, iterations=30)
    assert psnr(truth, np.abs(found) * np.float32(level)) > psnr(truth, plain) + 8


@pytest.mark.skipif(bart_missing() is not None, reason="the command bart is not installed")
def test_bart_finds_the_same_image(tmp_path: Path) -> None:
    kspace = disc_kspace((64, 64))
    mask = draw_pattern("poisson", (64, 64), 3.0, 1).mask
    samples = (kspace * mask).astype(np.complex64)
    centre = largest_centre(mask)
    maps = espirit_maps(samples[:, centre.rows, centre.columns], (5, 5), (64, 64))
    level = np.float32(np.percentile(root_sum_of_squares(ifft2c(samples)), 99))
    found = least_variation(samples / level, maps, mask, weight=0.01, iterations=2000)
    for name, array in (("kspace", samples / level), ("maps", maps)):
        sizes = " ".join(str(n) for n in (*array.shape[1:], 1, array.shape[0]))
        (tmp_path / f"{name}.hdr").write_text(f"# Dimensions\n{sizes}\n")
        values = array.transpose(1, 2, 0).astype(np.complex64)
        (tmp_path / f"{name}.cfl").write_bytes(values.tobytes(order="F"))
    command = shutil.which("bart")
    assert command is not None
    # -w1: the data as they are; -S would scale the image back.
    words = [command, *["pics", "-w1", "-i", "1000", "-R", "T:3:0:0.01", "kspace", "maps", "image"]]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    values = np.fromfile(tmp_path / "image.cfl", dtype=np.complex64)
    theirs = values.reshape((64, 64), order="F")
    distance = np.linalg.norm(np.abs(theirs) - np.abs(found)) / np.linalg.norm(found)
    assert distance < 0.02
