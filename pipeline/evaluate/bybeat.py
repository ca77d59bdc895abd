"""A segmentation that follows the heart, against the label of each beat.

The majority over beats is no truth where the heart moves: it is smaller than the myocardium, or
lies between two places. Where every beat has a label of its own, the segmentation is moved to where
the heart was found on that beat, as it is for the time-intensity curves, and compared there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from pipeline.analyses.perfusion.oneslice import SliceAnalysis
from pipeline.analyses.perfusion.result import MYOCARDIUM
from pipeline.imaging.overlap import dice


def by_beat_dice(
    found: Sequence[SliceAnalysis],
    segmentation: NDArray[np.uint8],
    labels: NDArray[np.integer],
    spacing_mm: tuple[float, float],
) -> float | None:
    """Return the mean over the labelled beats of the myocardial Dice; None without such labels.

    Parameters
    ----------
    found
        The slices, with where the heart was found on each beat.
    segmentation
        Shape ``(slices, rows, columns)``.
    labels
        Shape ``(beats, slices, rows, columns)``; of another shape, they are of no single beat.
    spacing_mm
        Spacing of rows and of columns [mm].
    """
    if labels.ndim != segmentation.ndim + 1:
        return None
    return float(
        np.mean(
            [
                dice(_moved(found, segmentation, beat, spacing_mm), labels[beat] == MYOCARDIUM)
                for beat in _labelled(labels)
            ]
        )
    )


def label_agreement(truth: NDArray[np.uint8], labels: NDArray[np.integer]) -> float | None:
    """Return the mean myocardial Dice of each beat's own label with the one label of the series.

    Whoever drew exactly what the reader drew on a beat would have no more against the majority.

    Parameters
    ----------
    truth
        The majority. Shape ``(slices, rows, columns)``.
    labels
        Shape ``(beats, slices, rows, columns)``; of another shape, they are of no single beat, and
        there is no figure.
    """
    if labels.ndim != truth.ndim + 1:
        return None
    true = truth == MYOCARDIUM
    return float(np.mean([dice(labels[beat] == MYOCARDIUM, true) for beat in _labelled(labels)]))


def _labelled(labels: NDArray[np.integer]) -> list[int]:
    """Return the beats that have a label."""
    found: list[int] = np.flatnonzero((labels == MYOCARDIUM).any(axis=(1, 2, 3))).tolist()
    return found


def _moved(
    found: Sequence[SliceAnalysis],
    segmentation: NDArray[np.uint8],
    beat: int,
    spacing_mm: tuple[float, float],
) -> NDArray[np.bool_]:
    """Return the myocardium where it was found on a beat."""
    moved = [
        shift(
            (mask == MYOCARDIUM).astype(np.float32),
            one.prepared.shifts_mm[beat] / np.array(spacing_mm),
            order=1,
        )
        > 0.5
        for one, mask in zip(found, segmentation, strict=True)
    ]
    return np.stack(moved)
