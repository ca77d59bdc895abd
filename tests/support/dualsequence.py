"""Series of a dual sequence, as instances: a series, and images of low resolution of one slice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from pipeline.demo import write_dual_study
from pipeline.imaging.volume import TimeSeries
from pipeline.phantom import PhantomSettings
from pipeline.phantom.dual import DualSettings
from pipeline.phantom.pair import PerfusionPair, perfusion_pair
from tests.support.geometry import affine_of, ascending, series_on
from tests.support.traps import instances_of

SPACING_MM = (10.0, 2.0, 1.5)
TURNED = np.linalg.qr(np.array([[0.3, 0.9, 0.2], [-0.5, 0.1, 0.8], [0.8, -0.4, 0.5]]))[0]
SHAPE = (3, 8, 6)
STEP_S, AHEAD_S = 0.8, 0.15
DELAY_MS, SHORT_MS = 100.0, 20.0
SLICE = 1

Change = Callable[[list[Dataset]], None]


def sharp(n_beats: int = 12) -> TimeSeries:
    """Return a series of oblique slices, another value in every voxel."""
    image = series_on(
        affine_of(ascending(TURNED), SPACING_MM, (12.0, -30.0, 5.0)), (n_beats, *SHAPE)
    )
    beats = STEP_S * np.arange(n_beats)[:, None] + 0.1 * np.arange(SHAPE[0])
    return replace(image, times_s=beats, times_are_estimated=False)


def coarse(image: TimeSeries, n_beats: int | None = None) -> TimeSeries:
    """Return one slice of a series with pixels of twice the side, taken shortly before it."""
    n_beats = n_beats or image.n_beats
    array = np.resize(image.array, (n_beats, *image.array.shape[1:]))[:, SLICE]
    low = array.reshape(n_beats, SHAPE[1] // 2, 2, SHAPE[2] // 2, 2).mean(axis=(2, 4))
    affine = image.affine.copy()
    affine[:3, 1:3] *= 2.0
    affine[:, 3] = image.affine @ (SLICE, 0.5, 0.5, 1.0)
    times = STEP_S * np.arange(n_beats)[:, None] + 0.1 * SLICE - AHEAD_S
    return replace(image, array=np.rint(low)[:, None], affine=affine, times_s=times)


def dual_instances(
    image: TimeSeries,
    low: TimeSeries,
    *,
    own_series: bool,
    change: Change = lambda _: None,
) -> list[Dataset]:
    """Return the instances of both, those of low resolution changed, in one series or in two."""
    main, extra = instances_of(image, "dual"), instances_of(low, "low")
    first = main[0]
    for number, instance in enumerate(extra):
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
            setattr(instance, keyword, first[keyword].value)
        series = derived_uid_of(first) if own_series else first.SeriesInstanceUID
        instance.SeriesInstanceUID = series
        instance.InstanceNumber = 500 + number
        instance.InversionTime = str(SHORT_MS)
    for instance in main:
        instance.InversionTime = str(DELAY_MS)
    for instance in (*main, *extra):
        del instance.TemporalPositionIdentifier, instance.NumberOfTemporalPositions
    change(extra)
    return [*main, *extra]


def derived_uid_of(first: Dataset) -> str:
    """Return the UID of the series of low resolution."""
    return f"{first.SeriesInstanceUID[:60]}.1"


SMALL = PhantomSettings(n_slices=1, n_beats=60, rows=96, columns=96)
"""One slice, as the small bundle wants it, and long enough to see the blood after the bolus."""


def small_dual(seed: int = 3, dose: float = 2.0) -> PerfusionPair:
    """Return a small study of rest and stress by a dual sequence."""
    return perfusion_pair(seed, SMALL, 60.0, DualSettings(dose=dose))


def write_small(pair: PerfusionPair, folder: Path) -> Path:
    """Write a small study, and return the folder."""
    write_dual_study(pair, folder, name="small dual")
    return folder
