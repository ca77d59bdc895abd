"""One slice of one frame as it was measured, with the samples that its coils are known by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pipeline.mr.coils import Calibration, largest_centre
from pipeline.mr.kspace import CalibrationScan, KSpace
from pipeline.mr.noise import estimated_noise

ENOUGH_LINES = 8
"""A slice whose own fully sampled centre is at least so wide needs no other calibration."""


class CalibrationSource(Enum):
    """Where the samples come from that coil sensitivities are estimated from."""

    OWN = "its own centre"
    SCAN = "separate calibration lines"
    TIME = "the mean over time"


@dataclass(frozen=True, kw_only=True, slots=True)
class RawSlice:
    """The samples of one slice of one frame."""

    kspace: NDArray[np.complex64]
    """Samples, zero where nothing was measured. Shape ``(coils, ky, kx)``."""

    mask: NDArray[np.bool_]
    """What was measured. Shape ``(ky, kx)``."""

    calibration: Calibration
    """The fully sampled centre of ``calibration_kspace``."""

    calibration_kspace: NDArray[np.complex64]
    """Samples that coil sensitivities are estimated from. Shape ``(coils, ky, kx)``."""

    calibration_source: CalibrationSource
    """Where those come from."""

    noise_sigma: float
    """Standard deviation of a sample's noise, real and imaginary part together: as it was measured,
    or as it is estimated from the samples."""

    spacing_mm: tuple[float, float] | None
    """Distance between rows and between columns of the image [mm]; None where it is not known."""


def raw_slice(
    kspace: NDArray[np.complex64],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float] | None = None,
    noise_sigma: float | None = None,
) -> RawSlice:
    """Return samples with their own fully sampled centre, however small it is.

    Parameters
    ----------
    kspace
        Samples, zero where nothing was measured. Shape ``(coils, ky, kx)``.
    mask
        What was measured. Shape ``(ky, kx)``.
    spacing_mm
        Distance between rows and between columns of the image [mm]; None where it is not known.
    noise_sigma
        Deviation of the noise, where it was measured.
    """
    return RawSlice(
        kspace=kspace,
        mask=mask,
        calibration=largest_centre(mask),
        calibration_kspace=kspace,
        calibration_source=CalibrationSource.OWN,
        noise_sigma=estimated_noise(kspace, mask) if noise_sigma is None else noise_sigma,
        spacing_mm=spacing_mm,
    )


def slice_of(raw: KSpace, frame: int, index: int) -> RawSlice:
    """Return a slice of a frame, with the widest calibration that there is for it.

    A slice without a wide centre of its own takes the calibration that was measured for it, or the
    mean over time: interleaved frames together have the centre that each of them lacks.

    Parameters
    ----------
    raw
        The acquisition.
    frame, index
        Which frame, and which slice of it.
    """
    own = raw_slice(
        raw.array[frame, index],
        np.ascontiguousarray(raw.mask[frame, index]),
        raw.pixel_spacing_mm,
        raw.noise_sigma,
    )
    if min(own.calibration.shape) >= ENOUGH_LINES or own.mask.all():
        return own
    others = [_with_calibration(own, source, scan) for source, scan in _scans(raw, index)]
    return max((own, *others), key=lambda one: min(one.calibration.shape))


def _scans(raw: KSpace, index: int) -> Iterator[tuple[CalibrationSource, CalibrationScan]]:
    """Yield the calibrations that all frames of a slice share."""
    if raw.calibration is not None:
        array, mask = raw.calibration.array[index], raw.calibration.mask[index]
        yield CalibrationSource.SCAN, CalibrationScan(array=array, mask=mask)
    if raw.n_frames > 1:
        counts = raw.mask[:, index].sum(axis=0)
        mean = raw.array[:, index].sum(axis=0) / np.maximum(counts, 1).astype(np.float32)
        scan = CalibrationScan(array=mean.astype(np.complex64), mask=counts > 0)
        yield CalibrationSource.TIME, scan


def _with_calibration(own: RawSlice, source: CalibrationSource, scan: CalibrationScan) -> RawSlice:
    """Return a slice with another calibration, brought to its scale where both were measured."""
    shared = own.mask & scan.mask
    power = float(np.linalg.norm(scan.array[:, shared]))
    factor = float(np.linalg.norm(own.kspace[:, shared])) / power if power else 1.0
    return replace(
        own,
        calibration=largest_centre(scan.mask),
        calibration_kspace=scan.array * np.float32(factor),
        calibration_source=source,
    )
