"""One result with all that is needed to judge it."""

from dataclasses import dataclass, fields
from uuid import UUID

from pipeline.errors import NotApplicable, StudyRejected
from pipeline.ledger.accounts import Account, Role
from pipeline.ledger.pairs import pair_of
from pipeline.ledger.reviewlist import ResultJob, result_job, successors_of
from pipeline.ledger.reviews import Reading, readings_of
from pipeline.ledger.reviewstates import ReviewState, is_blind, why_not
from pipeline.review.displaynames import shown_name, shown_unit
from pipeline.review.images import Source, source_of
from pipeline.review.jsonfiles import items, number, text, texts
from pipeline.review.perfusiondetails import PerfusionDetail, perfusion_of
from pipeline.review.phasedetails import PhasesDetail, phases_of
from pipeline.review.reconstructiondetails import ReconstructionDetail, reconstruction_of
from pipeline.review.rows import Case
from pipeline.review.site import Site


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurementDetail:
    """A number of a result."""

    name: str
    """Its key in the outcome."""

    label: str
    """Its name for people."""

    value: float | None
    """Its value; null where it is none."""

    unit: str
    """Its unit; empty for a ratio."""

    slice: int | None
    """The slice that it is of; null for the whole."""

    segment: str | None
    """The structure, or the segment, that it is of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactDetail:
    """A file of a result."""

    kind: str
    """What it is."""

    url: str
    """Where it is."""

    sop_instance_uid: str | None
    """SOP Instance UID (0008,0018); null for what is no DICOM object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingDetail:
    """What a reader said."""

    reviewer: str
    """The reader's name."""

    verdict: str
    """What the reader said."""

    reason: str | None
    """Code of the reason of a rejection."""

    words: str | None
    """What the reader added."""

    at: str
    """When, ISO 8601."""

    correction: str | None
    """The correction with which it was accepted."""

    successor_job_id: str | None
    """The job of the verified result that it led to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class May:
    """What the account may do with the result."""

    judge: bool
    """Whether it may give a verdict."""

    edit: bool
    """Whether it may correct."""

    why_not: str | None
    """Why it may not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail(Case):
    """A result."""

    measurements: tuple[MeasurementDetail, ...]
    """Its numbers."""

    notes: tuple[str, ...]
    """What a reader should know."""

    artifacts: tuple[ArtifactDetail, ...]
    """Its files."""

    readings: tuple[ReadingDetail, ...]
    """What readers said, in order."""

    may: May
    """What the account may do with it."""

    predecessor_id: str | None
    """The job whose result this one's takes the place of."""

    successor_ids: tuple[str, ...]
    """The jobs whose results take the place of this one's."""

    perfusion: PerfusionDetail | None
    """What perfusion shows besides."""

    reconstruction: ReconstructionDetail | None
    """What a reconstruction shows besides."""

    phases: PhasesDetail | None
    """What phases show besides."""


def detail_of(site: Site, job_id: UUID, account: Account) -> Detail | None:
    """Return a result with all that is needed to judge it; None if there is none.

    Parameters
    ----------
    site
        The site.
    job_id
        The job.
    account
        Who looks at it.
    """
    job, row = result_job(site.ledger, job_id), site.worklist.row(job_id)
    if job is None or row is None:
        return None
    with site.ledger.reading() as session:
        readings = readings_of(session, job_id)
    of_row = {field.name: getattr(row, field.name) for field in fields(Case)}
    of_row["review"] = _state(readings).value
    return Detail(
        **of_row,
        measurements=_measurements(job),
        notes=tuple(note for note in texts(job.outcome, "notes") if note),
        artifacts=tuple(
            ArtifactDetail(
                kind=each.kind,
                url=f"/api/jobs/{job_id}/files/{each.relative_path}",
                sop_instance_uid=each.sop_instance_uid,
            )
            for each in job.artifacts
        ),
        readings=tuple(_reading(each) for each in _shown(account, readings)),
        may=_may(account, readings),
        predecessor_id=None if job.predecessor is None else str(job.predecessor),
        successor_ids=tuple(str(each) for each in successors_of(site.ledger, job_id)),
        perfusion=_perfusion(site, job) if job.analysis == "perfusion" else None,
        reconstruction=reconstruction_of(job) if job.analysis == "reconstruction" else None,
        phases=phases_of(job) if job.analysis == "phases" else None,
    )


def source_if_there(site: Site, job: ResultJob) -> Source | None:
    """Return the images of a job's input; None if they cannot be shown."""
    try:
        return source_of(job, site.cache)
    except (StudyRejected, NotApplicable):
        return None


def _perfusion(site: Site, job: ResultJob) -> PerfusionDetail:
    """Return what perfusion shows."""
    source = source_if_there(site, job)
    times = None if source is None else source.t_seconds
    pair = pair_of(site.ledger, job.job_id)
    return perfusion_of(job, times, has_source=source is not None, pair=pair)


def _measurements(job: ResultJob) -> tuple[MeasurementDetail, ...]:
    """Return the numbers of a result."""
    return tuple(
        MeasurementDetail(
            name=text(each, "name"),
            label=shown_name(text(each, "name")),
            value=number(each, "value"),
            unit=shown_unit(text(each, "unit")),
            slice=None if (at := number(each, "slice_index")) is None else int(at),
            segment=text(each, "structure").replace("_", " ") or None,
        )
        for each in items(job.outcome, "measurements")
    )


def _state(readings: tuple[Reading, ...]) -> ReviewState:
    """Return where a review stands: the worklist may be behind."""
    return readings[-1].state if readings else ReviewState.OPEN


def _shown(account: Account, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Return the readings that an account may see: of two readers, each judges alone."""
    given = [reading.given() for reading in readings]
    hides = is_blind(given, _state(readings), account.name)
    return () if hides and account.role.includes(Role.REVIEWER) else readings


def _reading(reading: Reading) -> ReadingDetail:
    """Return what a reader said."""
    successor, correction = reading.successor_job_id, reading.correction_id
    return ReadingDetail(
        reviewer=reading.display_name,
        verdict=str(reading.verdict),
        reason=reading.reason,
        words=reading.words,
        at=reading.at.isoformat(),
        correction=None if correction is None else str(correction),
        successor_job_id=None if successor is None else str(successor),
    )


def _may(account: Account, readings: tuple[Reading, ...]) -> May:
    """Return what an account may do with a result."""
    reason = None
    if not account.role.includes(Role.REVIEWER):
        reason = f"this needs the role {Role.REVIEWER}"
    else:
        given = [reading.given() for reading in readings]
        reason = why_not(given, _state(readings), account.name)
    return May(judge=reason is None, edit=reason is None, why_not=reason)
