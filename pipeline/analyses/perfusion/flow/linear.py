"""What is deconvolved: values as they are, or signals made linear by the sequence of their series.

Making linear takes the relaxation times of a healthy person and the relaxivity of one agent, which
no header states: a flow of it is for research, as one of signals is.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.aha import SegmentedSlice
from pipeline.analyses.perfusion.concentration import concentration_of
from pipeline.analyses.perfusion.features import Baseline, baseline_of, mean_curve
from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.sequence import ReadOut, concentrations
from pipeline.imaging.volume import TimeSeries

IMPOSSIBLE = "a signal that the stated sequence cannot give"
"""What makes a curve no concentration."""


def before_contrast(one: SegmentedSlice, image: TimeSeries) -> Baseline | None:
    """Return the time before contrast arrives on a slice; None if the series does not show it."""
    pool = mean_curve(one.square, one.classes == BLOOD_POOL)
    return baseline_of(pool, image.times_s[:, one.slice_index])


def blood_course(
    curve: NDArray[np.float64], before: Baseline | None, read_out: ReadOut | None
) -> NDArray[np.float64] | str:
    """Return the course of the blood as it is deconvolved, or why it cannot be made linear.

    Parameters
    ----------
    curve
        Mean over the middle of the blood pool. Shape ``(beats,)``.
    before
        The time before contrast arrives; None if the series does not show it.
    read_out
        The sequence; None for values that are taken as they are.
    """
    if read_out is None or not np.isfinite(curve).all():
        return curve
    if before is None:
        return "no baseline: the series does not show the blood before contrast arrives"
    found = concentrations(curve, before, read_out.blood)
    if not np.isfinite(found).all():
        return f"clipped: the blood has {IMPOSSIBLE}"
    return found


def tissue_course(
    curve: NDArray[np.float64], before: Baseline | None, read_out: ReadOut | None
) -> NDArray[np.float64]:
    """Return the course of a region of the wall as it is deconvolved; NaN where it is none.

    Parameters
    ----------
    curve
        Mean over the region. Shape ``(beats,)``.
    before
        The time before contrast arrives; None if the series does not show it.
    read_out
        The sequence; None for values that are taken as they are.
    """
    return curve if read_out is None else concentrations(curve, before, read_out.myocardium)


def pixel_courses(
    values: NDArray[np.float64], before: Baseline | None, read_out: ReadOut | None
) -> NDArray[np.float64]:
    """Return the course of each pixel of the wall as it is deconvolved; NaN where it is none.

    Parameters
    ----------
    values
        Intensities. Shape ``(beats, pixels)``.
    before
        The time before contrast arrives; None if the series does not show it.
    read_out
        The sequence; None for values that are taken as they are.

    Returns
    -------
        Same shape.
    """
    if read_out is None:
        return values
    if before is None:
        return np.full(values.shape, np.nan)
    return concentration_of(values, values[: before.n_beats].mean(axis=0), read_out.myocardium)


def left_out(
    found: Sequence[SegmentedSlice], image: TimeSeries, read_out: ReadOut | None
) -> Iterator[str]:
    """Yield the slices whose wall cannot be made linear.

    Parameters
    ----------
    found
        Slices on which the left ventricle was found.
    image
        The series.
    read_out
        The sequence; None for values that are taken as they are.
    """
    for one in found if read_out is not None else ():
        before = before_contrast(one, image)
        wall = tissue_course(mean_curve(one.square, one.classes == MYOCARDIUM), before, read_out)
        if not np.isfinite(wall).all():
            why = IMPOSSIBLE if before is not None else "no time before contrast"
            yield f"flow: none of the wall of slice {one.slice_index}: it has {why}"
