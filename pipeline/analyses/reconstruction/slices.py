"""One slice of one frame: from undersampled samples to an image, by the method a site chooses."""

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.reconstruction.networks import UnrolledNetworks
from pipeline.analyses.reconstruction.prepare import prepare
from pipeline.analyses.reconstruction.rawslice import RawSlice
from pipeline.analyses.reconstruction.unroll import Reconstructed, unroll
from pipeline.analyses.stopwatch import Stopwatch
from pipeline.blas import one_thread
from pipeline.mr.coils import coil_sensitivities, root_sum_of_squares
from pipeline.mr.fourier import fft2c, ifft2c
from pipeline.mr.quality import kspace_residual
from pipeline.mr.sense import combined


def reconstruct_slice(
    raw: RawSlice,
    networks: UnrolledNetworks | None,
    stopwatch: Stopwatch,
    *,
    hard_data_consistency: bool = False,
) -> Reconstructed:
    """Reconstruct one slice.

    Parameters
    ----------
    raw
        Its samples.
    networks
        The model; None for the zero-filled image.
    stopwatch
        Takes the time of the stages ``prepare``, ``networks``, ``fft`` and ``consistency``.
    hard_data_consistency
        Whether the measured samples are put back at the end.

    Raises
    ------
    NotApplicable
        If the centre of k-space holds no signal, or the matrix is too small for networks.
    ModelContractBroken
        If a graph gives a value that is not finite.
    """
    if networks is None:
        return zero_filled(raw, stopwatch)
    with one_thread():
        with stopwatch.stage("prepare"):
            prepared = prepare(raw, networks.model, networks.threads)
        found = unroll(prepared, networks, stopwatch)
    if not hard_data_consistency:
        return found
    with stopwatch.stage("consistency"):
        return _with_measured_samples(raw, found)


def zero_filled(raw: RawSlice, stopwatch: Stopwatch) -> Reconstructed:
    """Return the image with zeros where nothing was measured.

    Its magnitude is the root sum of squares of the coil images, its phase that of their sum
    weighted by their sensitivities.
    """
    with stopwatch.stage("fft"):
        images = ifft2c(raw.kspace)
    with stopwatch.stage("consistency"):
        maps = coil_sensitivities(raw.calibration_kspace, raw.calibration)
        return Reconstructed(image=_with_phase(images, maps), sensitivities=maps)


def residual(raw: RawSlice, found: Reconstructed) -> float:
    """Return how far an image, seen by its own coils, is from what was measured.

    Distance over the norm of the measured samples: 0 is exact.
    """
    predicted = fft2c(found.sensitivities * found.image)
    return kspace_residual(raw.kspace, predicted, raw.mask)


def _with_measured_samples(raw: RawSlice, found: Reconstructed) -> Reconstructed:
    """Return an image whose k-space holds the measured samples as they are."""
    kspace = fft2c(found.sensitivities * found.image)
    np.copyto(kspace, raw.kspace, where=raw.mask)
    image = _with_phase(ifft2c(kspace), found.sensitivities)
    return Reconstructed(image=image, sensitivities=found.sensitivities)


def _with_phase(
    images: NDArray[np.complex64], maps: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Return the root sum of squares of coil images with the phase of their weighted sum."""
    phase = np.angle(combined(images, maps))
    return np.asarray(root_sum_of_squares(images) * np.exp(1j * phase), dtype=np.complex64)
