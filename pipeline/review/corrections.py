"""Corrections as readers make them: drafts, measured at once, until a reading names one."""

from dataclasses import dataclass
from uuid import UUID

from pipeline.errors import ReviewRefused
from pipeline.identity import digest_bytes
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.pastjobs import PastJob
from pipeline.ledger.reviews import Correction, correction_id, keep_correction, readings_of
from pipeline.ledger.reviewstates import ENDED
from pipeline.review.corrected import Segments, measured
from pipeline.review.verdicts import Desk, Reader, readable
from pipeline.study import Measurement

MOST_BYTES = 16 * 2**20
"""Length of the body of a correction [byte]: label maps compress to far less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A correction that is kept."""

    id: UUID
    """Which one."""

    measurements: tuple[Measurement, ...]
    """What is measured on the corrected result."""

    segments: Segments | None
    """The segments of the myocardium; None where the result has no heart."""


def correctable(job_id: UUID, desk: Desk) -> PastJob:
    """Return a job whose result may be corrected.

    Raises
    ------
    UnusableCall
        If there is no such job.
    ReviewRefused
        If it has no result, or its review has ended.
    """
    past = readable(job_id, desk)
    with desk.ledger.reading() as session:
        readings = readings_of(session, job_id)
    if readings and readings[-1].state in ENDED:
        raise ReviewRefused(f"the review has ended: {readings[-1].state.value}")
    return past


def keep(past: PastJob, made: tuple[str, bytes], reader: Reader, desk: Desk) -> Kept:
    """Measure a correction, and keep it as a draft.

    Parameters
    ----------
    past
        The job that it corrects.
    made
        Its kind and its content, as it is kept.
    reader
        The author.
    desk
        Where results are read.

    Raises
    ------
    ReviewRefused
        If the source is not there any more, or nothing is left to be measured.
    """
    kind, content = made
    correction = Correction(
        id=correction_id(past.job_id, reader.name, kind, content),
        job_id=past.job_id,
        author=reader.name,
        display_name=reader.display_name,
        kind=kind,
        content=content,
        sha256=digest_bytes(content),
        at=desk.clock().replace(microsecond=0),
    )
    found = measured(past, correction, desk.configuration)
    audited = Audited(
        action="correction",
        actor=reader.name,
        subject=f"job {past.job_id}",
        detail={"kind": kind, "correction": str(correction.id), "sha256": correction.sha256},
        role=reader.role,
        address=reader.address,
    )
    with desk.ledger.transaction() as session:
        keep_correction(session, correction)
        record_within(session, audited)
    return Kept(id=correction.id, measurements=found.measurements, segments=found.segments)
