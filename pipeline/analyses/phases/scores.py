"""All figures of one way to recognise phases, over videos: the definitions are in ``metrics``."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.phases.anticipation import N_NEXT
from pipeline.analyses.phases.metrics import (
    OVERLAPS,
    accuracy,
    edit_score,
    next_columns,
    over_segmentation,
    overlap,
    relaxed_truth,
    segment_f1,
)
from pipeline.analyses.phases.runs import Columns


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Truth:
    """The labels of one video, at its labelled seconds."""

    seconds: NDArray[np.int64]
    """The labelled seconds, ascending [s]. Shape ``(seconds,)``."""

    phase: Columns
    """Their phases. Same shape."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """What one way says of one video, at its labelled seconds."""

    phase: Columns
    """Present phase. Shape ``(seconds,)``."""

    following: NDArray[np.int64]
    """Next phases, the end of the operation included. Shape ``(seconds, N_NEXT)``."""

    remaining_seconds: NDArray[np.float64]
    """Time to the end of the operation [s]. Shape ``(seconds,)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """The figures, in percent but where a unit is named; see ``metrics`` for each."""

    accuracy: float
    accuracy_relaxed_10s: float
    precision: float
    recall: float
    jaccard: float
    precision_relaxed_10s: float
    recall_relaxed_10s: float
    jaccard_relaxed_10s: float
    edit: float
    f1_10: float
    f1_25: float
    f1_50: float
    over_segmentation: float
    """Predicted segments over labelled ones."""

    next_phase_accuracy: tuple[float, ...]
    """For the next segment, the one after it, and so on."""

    remaining_time_mae_s: float
    """Mean absolute error of the time to the end, over seconds, then over videos [s]."""

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON values."""
        return {**asdict(self), "next_phase_accuracy": list(self.next_phase_accuracy)}


def score(predictions: Sequence[Prediction], truths: Sequence[Truth], n_phases: int) -> Scores:
    """Return the figures over videos.

    Parameters
    ----------
    predictions, truths
        One pair a video.
    n_phases
        Phases of the procedure: the column that stands for the end of the operation.
    """
    found = [p.phase for p in predictions]
    truth = [t.phase for t in truths]
    pairs = list(zip(found, truth, strict=True))
    allowed = [relaxed_truth(f, t) for f, t in pairs]
    strict, relaxed = overlap(found, truth), overlap(found, allowed)
    f1_10, f1_25, f1_50 = (segment_f1(found, truth, least) for least in OVERLAPS)
    return Scores(
        accuracy=_mean(accuracy(f, t) for f, t in pairs),
        accuracy_relaxed_10s=_mean(accuracy(f, a) for f, a in zip(found, allowed, strict=True)),
        precision=strict.precision,
        recall=strict.recall,
        jaccard=strict.jaccard,
        precision_relaxed_10s=relaxed.precision,
        recall_relaxed_10s=relaxed.recall,
        jaccard_relaxed_10s=relaxed.jaccard,
        edit=_mean(edit_score(f, t) for f, t in pairs),
        f1_10=f1_10,
        f1_25=f1_25,
        f1_50=f1_50,
        over_segmentation=_mean(over_segmentation(f, t) for f, t in pairs),
        next_phase_accuracy=_next_accuracy(predictions, truths, n_phases),
        remaining_time_mae_s=_mean(
            float(np.mean(np.abs(p.remaining_seconds - _remaining(t))))
            for p, t in zip(predictions, truths, strict=True)
        ),
    )


def _next_accuracy(
    predictions: Sequence[Prediction], truths: Sequence[Truth], n_phases: int
) -> tuple[float, ...]:
    """Return the accuracy of each place of the next phases, the mean over videos [%]."""
    videos = [
        np.mean(p.following == next_columns(t.phase, N_NEXT, n_phases), axis=0)
        for p, t in zip(predictions, truths, strict=True)
    ]
    return tuple(100 * float(share) for share in np.mean(videos, axis=0))


def _remaining(truth: Truth) -> NDArray[np.int64]:
    """Return the time to the end of the labels at each labelled second [s]."""
    return np.asarray(truth.seconds[-1] + 1 - truth.seconds)


def _mean(values: Iterable[float]) -> float:
    """Return the mean of what a generator yields."""
    return float(np.mean(list(values)))
