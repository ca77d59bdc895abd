"""From contrast to pixels: the sequence's signal, the coils, the point spread, noise and scale."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pipeline.phantom.draws import Draws

RELAXIVITY = 4.5
"""Longitudinal relaxivity of gadolinium chelates in blood [l/mmol/s]."""

TRANSVERSE_RELAXIVITY = 6.0
"""Transverse relaxivity, with the susceptibility of a dense bolus [l/mmol/s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """A saturation-recovery acquisition."""

    recovery_s: float
    """From the saturation to the centre of k-space [s]."""

    echo_s: float
    """Echo time [s]."""

    residue: float
    """Share of the magnetisation that the saturation pulse leaves."""


def draw_sequence(draws: Draws) -> Sequence:
    """Draw a sequence."""
    return Sequence(
        recovery_s=draws.log_between(0.06, 0.2),
        echo_s=draws.between(0.001, 0.003),
        residue=draws.between(0.0, 0.03),
    )


def signal(
    sequence: Sequence, concentration: NDArray[np.float64], t1_s: float
) -> NDArray[np.float64]:
    """Return the signal of unit proton density.

    ``S = (1 - (1 - residue) exp(-TD (1/T1 + r1 C))) exp(-TE r2 C)``: it saturates at the peak of a
    dense bolus.

    Parameters
    ----------
    sequence
        The acquisition.
    concentration
        Contrast agent [mmol/l], any shape.
    t1_s
        Longitudinal relaxation time without contrast [s].
    """
    rate = 1.0 / t1_s + RELAXIVITY * concentration
    recovered = 1.0 - (1.0 - sequence.residue) * np.exp(-sequence.recovery_s * rate)
    return np.asarray(recovered * np.exp(-sequence.echo_s * TRANSVERSE_RELAXIVITY * concentration))


def coil_shading(draws: Draws, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Draw a smooth positive field of mean one, brighter towards one side. Shape ``shape``."""
    rows = np.linspace(-1.0, 1.0, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1.0, 1.0, shape[1], dtype=np.float32)[None, :]
    # The anterior coil lies above the heart; where the image is turned, anywhere.
    angle = draws.between(-np.pi, np.pi) - np.pi / 2.0
    slope, bend = draws.between(0.0, 0.8), draws.between(-0.4, 0.2)
    along = np.float32(np.cos(angle)) * columns + np.float32(np.sin(angle)) * rows
    field = np.exp(slope * along + bend * (rows**2 + columns**2))
    return np.asarray(field / field.mean(), dtype=np.float32)


def acquired(draws: Draws, images: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Return magnitude images of limited resolution with Rician noise.

    Noise enters both channels before the k-space window, so that it is as correlated as the image
    is interpolated.

    Parameters
    ----------
    draws
        Random numbers.
    images
        Noiseless images. Shape ``(images, rows, columns)``.
    noise
        Standard deviation of each channel, in the images' unit.
    """
    rows, columns = images.shape[-2:]
    received = images.astype(np.complex64)
    parts = received.view(np.float32)
    parts += np.float32(noise) * draws.rng.standard_normal(parts.shape, dtype=np.float32)
    window = np.outer(
        _k_space_window(rows, draws.between(0.6, 1.0), draws.between(0.0, 0.5)),
        _k_space_window(columns, draws.between(0.75, 1.05), draws.between(0.0, 0.5)),
    ).astype(np.float32)
    k_space = scipy.fft.fft2(received)
    k_space *= window
    return np.asarray(np.abs(scipy.fft.ifft2(k_space)), dtype=np.float32)


def stored(draws: Draws, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images on the scale of some scanner: integers up to 4095 or fewer, or small floats."""
    top = float(images.max())
    kind = draws.rng.random() if draws.spread >= 1.0 else 0.0
    if kind < 0.35:
        return np.asarray(np.rint(images * np.float32(draws.log_between(250.0, 900.0) / top)))
    if kind < 0.7:
        return np.asarray(np.rint(images * np.float32(4095.0 / top)))
    return images * np.float32(draws.log_between(1e-3, 10.0) / top)


def _k_space_window(n: int, extent: float, taper: float) -> NDArray[np.float64]:
    """Return the window of acquired k-space along one axis, in FFT order: a raised-cosine end."""
    distance = np.abs(scipy.fft.fftfreq(n)) * 2.0
    inner = extent * (1.0 - taper)
    fall = np.clip((distance - inner) / max(extent - inner, 1e-6), 0.0, 1.0)
    return np.asarray(0.5 * (1.0 + np.cos(np.pi * fall)))
