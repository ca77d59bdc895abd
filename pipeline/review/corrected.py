"""Corrected results: written whole, by the kind of the correction."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.config import Configuration
from pipeline.encode.context import EncodingContext
from pipeline.errors import ReviewRefused
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.reviews import Correction
from pipeline.review.correctperfusion import remeasure, segmentation_types, write_perfusion
from pipeline.review.correctphases import durations, write_phases
from pipeline.study import Artifact, Measurement

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


def measured(
    past: PastJob, correction: Correction, configuration: Configuration
) -> tuple[Measurement, ...]:
    """Return what is measured on a corrected result.

    Raises
    ------
    ReviewRefused
        As ``write_corrected``.
    """
    if correction.kind in OF_PERFUSION:
        return remeasure(past, correction, configuration)[0].measurements
    return durations(past, correction)
