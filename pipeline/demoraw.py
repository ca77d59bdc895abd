"""Write generated raw data: what the demonstration of the reconstruction takes in.

One frame of the numerical perfusion phantom is seen by a ring of smooth coils, sampled by a Poisson
disc and given noise. It is a NumPy file of shape ``(coil, ky, kx)``: nobody's, placed nowhere.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.mr.fourier import fft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.phantom import PhantomSettings, perfusion_phantom

N_COILS = 8
"""Coils around the body."""

ACCELERATION = 4.0
"""Nominal acceleration."""

NOISE = 0.004
"""Standard deviation of the noise, as a share of the brightest pixel."""

NAME = "kspace.npy"
"""Name of the file."""


def write_raw(folder: Path, seed: int) -> Path:
    """Write an undersampled acquisition into a folder, which is made, and return the file.

    Parameters
    ----------
    folder
        Where it goes.
    seed
        Another seed, another heart, coils and noise.
    """
    rng = np.random.default_rng(seed)
    series = perfusion_phantom(seed, PhantomSettings(n_slices=1, n_beats=24)).image
    brightest = series.array.mean(axis=(1, 2, 3)).argmax()
    frame = series.array[brightest, 0] / series.array[brightest, 0].max()
    images = frame * _coil_profiles((frame.shape[0], frame.shape[1]), rng)
    noise = rng.normal(0, NOISE, (2, *images.shape))
    kspace = fft2c(images.astype(np.complex64)) + (noise[0] + 1j * noise[1])
    mask = draw_pattern("poisson", (frame.shape[0], frame.shape[1]), ACCELERATION, seed).mask
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    np.save(path, (kspace * mask).astype(np.complex64))
    return path


def _coil_profiles(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.complex64]:
    """Return smooth complex profiles of coils on a ring. Shape ``(coils, rows, columns)``."""
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij"
    )
    angles = 2 * np.pi * (np.arange(N_COILS) + rng.uniform()) / N_COILS
    away_rows = rows - 1.2 * np.sin(angles)[:, None, None]
    away_columns = columns - 1.2 * np.cos(angles)[:, None, None]
    strength = np.exp(-(away_rows**2 + away_columns**2) / 1.4)
    phase = rng.uniform(0, 2 * np.pi, N_COILS)[:, None, None] + 0.8 * (away_rows - away_columns)
    profiles: NDArray[np.complex64] = (strength * np.exp(1j * phase)).astype(np.complex64)
    return profiles
