"""How recognised and anticipated phases compare with labels: every variant by its own name.

All figures but times are in percent. A video is two arrays of one column of its procedure for each
labelled second; ``NO_PHASE`` in a prediction is always wrong, and counts for no phase.

Which variant is which, because papers differ and do not always say:

- *accuracy* is the mean over videos of the share of right seconds, with nothing relaxed.
- *relaxed* figures are the same after every second within ten seconds of a labelled transition was
  allowed either side's phase, symmetrically. That is simpler than the script of the M2CAI
  challenge, whose allowances differ by phase number, and a little kinder.
- *precision*, *recall* and *jaccard* are taken for each phase in each video, averaged over the
  videos whose labels hold the phase, then over phases. A phase that is labelled and never predicted
  has precision 0.
- *edit* and *F1* are those of MS-TCN [1]_ on segments. Edit is averaged over videos; F1 pools the
  segments of all videos. A segment ends where the next begins: one of a second has length 1.
- *over-segmentation* is predicted segments over labelled ones, averaged over videos.
- *next-phase accuracy* for k = 1, 2, ...: the share of seconds whose k-th next segment was named
  rightly. After the last segment comes the end of the operation, and every later place is the end
  too.

References
----------
.. [1] Farha YA, Gall J. MS-TCN: multi-stage temporal convolutional network for action segmentation.
   CVPR 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.runs import Columns, Run, runs_of

RELAXED_SECONDS = 10
"""How near to a transition either side's phase is right, in relaxed figures [s]."""

OVERLAPS = (0.10, 0.25, 0.50)
"""Intersections over union from which on a segment is found."""


def accuracy(found: Columns, truth: Columns) -> float:
    """Return the share of right seconds of one video [%]."""
    return 100.0 * float(np.mean(found == truth))


def relaxed_truth(found: Columns, truth: Columns, seconds: int = RELAXED_SECONDS) -> Columns:
    """Return labels that agree with a prediction wherever that is allowed.

    Parameters
    ----------
    found, truth
        One video. Shape ``(seconds,)``.
    seconds
        How near to a transition of the labels either side's phase is right [s].
    """
    allowed = truth.copy()
    for before, after in pairwise(runs_of(truth)):
        early = slice(max(0, after.start - seconds), after.start)
        late = slice(after.start, after.start + seconds)
        for stretch, other in ((early, after.value), (late, before.value)):
            allowed[stretch][found[stretch] == other] = other
    return allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """How the seconds of phases overlap, averaged over videos and phases [%]."""

    precision: float
    recall: float
    jaccard: float


def overlap(found: Sequence[Columns], truth: Sequence[Columns]) -> Overlap:
    """Return precision, recall and Jaccard index over phases."""
    figures = []
    for phase in sorted({int(c) for t in truth for c in np.unique(t)}):
        videos = [
            _of_phase(f == phase, t == phase)
            for f, t in zip(found, truth, strict=True)
            if (t == phase).any()
        ]
        figures.append(np.mean(videos, axis=0))
    precision, recall, jaccard = 100.0 * np.mean(figures, axis=0)
    return Overlap(precision=float(precision), recall=float(recall), jaccard=float(jaccard))


def edit_score(found: Columns, truth: Columns) -> float:
    """Return how alike the orders of segments are, lengths aside [%].

    100 less the Levenshtein distance of the two sequences over the longer one's length.
    """
    ours = [r.value for r in runs_of(found)]
    theirs = [r.value for r in runs_of(truth)]
    distances = np.arange(len(theirs) + 1)
    for row, value in enumerate(ours, start=1):
        above = distances.copy()
        distances[0] = row
        for column, other in enumerate(theirs, start=1):
            distances[column] = min(
                above[column] + 1, distances[column - 1] + 1, above[column - 1] + (value != other)
            )
    return 100.0 * (1.0 - float(distances[-1]) / max(len(ours), len(theirs)))


def segment_f1(found: Sequence[Columns], truth: Sequence[Columns], least: float) -> float:
    """Return the F1 score of segments, pooled over videos [%].

    Parameters
    ----------
    found, truth
        Videos.
    least
        Intersection over union from which on a segment is found. Each labelled segment is found
        once: by the first that overlaps it best of its phase.
    """
    hits = predicted = labelled = 0
    for f, t in zip(found, truth, strict=True):
        ours, theirs = runs_of(f), runs_of(t)
        predicted += len(ours)
        labelled += len(theirs)
        hits += _hits(ours, theirs, least)
    return 100.0 * 2 * hits / (predicted + labelled)


def over_segmentation(found: Columns, truth: Columns) -> float:
    """Return predicted segments over labelled ones of one video."""
    return len(runs_of(found)) / len(runs_of(truth))


def next_columns(truth: Columns, n_next: int, end: int) -> NDArray[np.int64]:
    """Return the columns of the next segments at each second.

    Parameters
    ----------
    truth
        One video.
    n_next
        Number of segments.
    end
        Column that stands for the end of the operation.

    Returns
    -------
        Shape ``(seconds, n_next)``.
    """
    runs = runs_of(truth)
    coming = np.full((truth.size, n_next), end, dtype=np.int64)
    for place, run in enumerate(runs):
        values = [r.value for r in runs[place + 1 : place + 1 + n_next]]
        coming[run.start : run.end, : len(values)] = values
    return coming


def _of_phase(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return precision, recall and Jaccard index of a phase that the labels hold, from 0 to 1."""
    both = int(np.count_nonzero(found & truth))
    return (
        both / max(1, int(np.count_nonzero(found))),
        both / np.count_nonzero(truth),
        both / np.count_nonzero(found | truth),
    )


def _hits(ours: Sequence[Run], theirs: Sequence[Run], least: float) -> int:
    """Return how many labelled segments are found."""
    taken: set[int] = set()
    for run in ours:
        shares = [
            _intersection_over_union(run, other) if run.value == other.value else 0.0
            for other in theirs
        ]
        best = int(np.argmax(shares))
        if shares[best] >= least:
            taken.add(best)
    return len(taken)


def _intersection_over_union(one: Run, other: Run) -> float:
    """Return the common seconds over those of either; 0 where they do not touch."""
    common = max(0, min(one.end, other.end) - max(one.start, other.start))
    return common / (max(one.end, other.end) - min(one.start, other.start))
