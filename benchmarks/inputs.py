"""Inputs of any size, whose content is plain: what they cost depends on their size alone."""

import numpy as np

from pipeline.analyses.perfusion.locate import likely_places
from pipeline.analyses.perfusion.networks import Pool
from pipeline.analyses.perfusion.prepare import PreparedSlice, prepare_slice
from pipeline.analyses.reconstruction.rawslice import RawSlice, raw_slice
from pipeline.imaging.volume import TimeSeries
from pipeline.mr.fourier import fft2c
from pipeline.mr.patterns import draw_pattern
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.study import InputSeries


def disc_slice(n_coils: int, side: int) -> RawSlice:
    """Return a disc under coils on a ring, undersampled 4 times: ``side`` x ``side`` samples."""
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    disc = (np.hypot(rows, columns) < 0.7).astype(np.float32)
    angles = 2 * np.pi * np.arange(n_coils)[:, None, None] / n_coils
    maps = np.exp(-((rows - np.sin(angles)) ** 2) - (columns - np.cos(angles)) ** 2)
    kspace = fft2c((maps * disc).astype(np.complex64))
    mask = draw_pattern("equispaced", (side, side), 4.0, 1).mask
    return raw_slice((kspace * mask).astype(np.complex64), mask)


def phantom_series(n_slices: int, n_beats: int = PhantomSettings().n_beats) -> InputSeries:
    """Return a perfusion phantom as an analysis receives it."""
    return InputSeries(
        label="phantom",
        study_instance_uid=None,
        series_instance_uids=(),
        image=perfusion_phantom(1, PhantomSettings(n_slices=n_slices, n_beats=n_beats)).image,
        frames=(),
        header=None,
        input_digest="",
    )


def prepared_slice(image: TimeSeries, index: int, pool: Pool) -> PreparedSlice:
    """Return a slice of a series as the members of a pool see it, where the heart is likeliest."""
    frames, spacing = image.array[:, index], image.spacing_mm[1:]
    place = likely_places(frames, spacing, pool.locator)[0]
    return prepare_slice(frames, spacing, place, pool.grid)
