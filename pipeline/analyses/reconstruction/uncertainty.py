"""Uncertainty of an image: how it changes when the measurement changes within what it allows.

The measured samples are perturbed in the ways in which another measurement of the same object would
differ: other noise, of the same deviation; a few samples fewer; and a smaller centre to estimate
the coil sensitivities from, whose error often outweighs that of the noise. What an image owes to
the network's idea of anatomy and not to the data changes most. The pixel-wise standard deviation
over a few perturbed reconstructions is the map.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.rawslice import CalibrationSource, RawSlice
from pipeline.blas import one_thread
from pipeline.mr.coils import SMALLEST_CALIBRATION, Calibration

LEFT_OUT = 0.1
"""Share of the samples, or of the lines, outside the centre that a draw leaves out."""

CENTRE_LEFT_OUT = 0.4
"""Largest share of the centre, along an axis, that a draw estimates no sensitivities from."""


def deviation_over_draws(
    raw: RawSlice,
    reconstruct: Callable[[RawSlice], NDArray[np.complex64]],
    n_draws: int,
    threads: int,
) -> NDArray[np.float32]:
    """Return the pixel-wise standard deviation of the magnitude over perturbed reconstructions.

    Draws are made side by side: much of each runs on one core. The result does not depend on the
    number of threads.

    Parameters
    ----------
    raw
        The slice.
    reconstruct
        Gives the image of a slice; called from several threads at once. Shape ``(rows, columns)``.
    n_draws
        Number of perturbed reconstructions, at least two.
    threads
        Draws that are made at once, at most.
    """

    def magnitude(draw: int) -> NDArray[np.float32]:
        return np.abs(reconstruct(perturbed(raw, np.random.default_rng(draw))))

    # The limit on BLAS is the process's: set here, no draw that ends lifts it from the others.
    with one_thread(), ThreadPoolExecutor(min(threads, n_draws)) as executor:
        return deviation(list(executor.map(magnitude, range(n_draws))))


def perturbed(raw: RawSlice, rng: np.random.Generator) -> RawSlice:
    """Return a slice as another measurement might have given it.

    Parameters
    ----------
    raw
        The slice.
    rng
        Source of chance.
    """
    mask = raw.mask & ~_left_out(raw, rng)
    noise = rng.standard_normal((*raw.kspace.shape, 2), dtype=np.float32)
    noise *= np.float32(raw.noise_sigma / np.sqrt(2))
    kspace = (raw.kspace + noise.view(np.complex64)[..., 0]) * mask
    centre = raw.calibration
    smaller = Calibration(rows=_shrunk(centre.rows, rng), columns=_shrunk(centre.columns, rng))
    is_own = raw.calibration_source is CalibrationSource.OWN
    return replace(
        raw,
        kspace=kspace,
        mask=mask,
        calibration=smaller,
        calibration_kspace=kspace if is_own else raw.calibration_kspace,
    )


def deviation(images: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the pixel-wise standard deviation of magnitudes."""
    return np.asarray(np.std(np.stack(images), axis=0, ddof=1), dtype=np.float32)


def _shrunk(region: slice, rng: np.random.Generator) -> slice:
    """Return the middle of the centre along an axis, of a random size."""
    size = region.stop - region.start
    cut = round(0.5 * size * rng.uniform(0, CENTRE_LEFT_OUT))
    cut = min(cut, max(0, (size - SMALLEST_CALIBRATION) // 2))
    return slice(region.start + cut, region.stop - cut)


def _left_out(raw: RawSlice, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw what to leave out: whole lines where whole lines were measured."""
    shape = raw.mask.shape
    by_rows = bool((raw.mask == raw.mask[:, :1]).all())
    by_columns = bool((raw.mask == raw.mask[:1, :]).all())
    size = (shape[0], 1) if by_rows else (1, shape[1]) if by_columns else shape
    chosen = np.broadcast_to(rng.uniform(size=size) < LEFT_OUT, shape).copy()
    centre = raw.calibration
    if by_rows:
        chosen[centre.rows] = False
    elif by_columns:
        chosen[:, centre.columns] = False
    else:
        chosen[centre.rows, centre.columns] = False
    return chosen
