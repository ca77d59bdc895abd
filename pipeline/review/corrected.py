"""Corrected results: written whole, by the kind of the correction."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

from pipeline.config import Configuration
from pipeline.encode.context import EncodingContext
from pipeline.errors import ReviewRefused
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.reviews import Correction
from pipeline.review.correctperfusion import remeasure, segmentation_types, write_perfusion
from pipeline.review.correctphases import durations, write_phases
from pipeline.study import Artifact, Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Segments:
    """The segments of the myocardium, measured on a corrected result."""

    outcome: Mapping[str, object]
    """What the outcome of the corrected result will say of them."""

    notes: tuple[str, ...]
    """Why a slice has no segments, and how its height was told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Anew:
    """What is measured on a corrected result."""

    measurements: tuple[Measurement, ...]
    """Its numbers."""

    segments: Segments | None
    """The segments of the myocardium; None where the result has no heart."""


OF_PERFUSION, OF_PHASES = ("segmentation", "members", "insertions"), ("phases",)
"""Kinds of corrections, by the analysis that they are of."""


def write_corrected(
    past: PastJob,
    correction: Correction,
    context: EncodingContext,
    configuration: Configuration,
    folder: Path,
) -> tuple[tuple[Artifact, ...], Mapping[str, object]]:
    """Write a corrected result into an empty folder; return the files' records and the outcome.

    Parameters
    ----------
    past
        The job that was read.
    correction
        What a reader has corrected.
    context
        The successor's: the author, who has verified it, and which job is before.
    configuration
        The site's settings.
    folder
        An empty folder.

    Raises
    ------
    ReviewRefused
        If the source is not there any more, or nothing is left to be measured.
    """
    if correction.kind in OF_PERFUSION:
        typed = replace(context, segmentation_types=segmentation_types(past))
        return write_perfusion(past, correction, typed, configuration, folder)
    if correction.kind in OF_PHASES:
        return write_phases(past, correction, context, folder)
    raise ReviewRefused(f"a correction of kind {correction.kind} cannot be written")


def measured(past: PastJob, correction: Correction, configuration: Configuration) -> Anew:
    """Return what is measured on a corrected result.

    Raises
    ------
    ReviewRefused
        As ``write_corrected``.
    """
    if correction.kind in OF_PERFUSION:
        result = remeasure(past, correction, configuration)[0]
        outcome = {
            "aha_segments": [asdict(m) for m in result.aha.measurements if isfinite(m.value)],
            "heart_state": result.state,
        }
        segments = Segments(outcome=outcome, notes=result.aha.notes)
        return Anew(measurements=result.measurements, segments=segments)
    return Anew(measurements=durations(past, correction), segments=None)
