"""Noise acquisitions of an MRD file: the covariance of its coils, and samples with unit noise."""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InconsistentSeries
from pipeline.ingest.raw.mrdacquisitions import Heads, Readouts
from pipeline.mr.noise import noise_covariance
from pipeline.mr.prewhiten import prewhiten


def covariance_of(
    noise: Readouts, heads: Heads, wanted: NDArray[np.bool_], name: str
) -> NDArray[np.complex128] | None:
    """Return the noise covariance of the data; None where the file has no noise acquisitions."""
    if not noise.samples:
        return None
    if len({len(samples) for samples in noise.samples}) > 1:
        raise InconsistentSeries(f"{name}: noise acquisitions have different numbers of coils")
    together = np.concatenate(noise.samples, axis=1)
    dwell = float(heads["sample_time_us"][noise.indices[0]])
    of_data = float(heads["sample_time_us"][wanted][0])
    ratio = dwell / of_data if dwell > 0 and of_data > 0 else 1.0
    try:
        return noise_covariance(together, ratio)
    except InconsistentSeries as error:
        raise InconsistentSeries(f"{name}: {error}") from error


def whitened(
    array: NDArray[np.complex64], covariance: NDArray[np.complex128] | None, name: str
) -> NDArray[np.complex64]:
    """Return samples with unit noise, where it is known. Shape ``(frames, slices, coils, ...)``."""
    if covariance is None:
        return array
    try:
        return prewhiten(array, covariance, axis=2)
    except InconsistentSeries as error:
        raise InconsistentSeries(f"{name}: {error}") from error
