"""One job: reuse its result, or compute, write and record it.

The files are in place before the ledger says so, and they are what it says: a job whose files were
lost or altered is computed again. A failure of any kind ends the job and not the run.
"""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from pipeline import __version__
from pipeline.errors import LedgerUnavailable, PipelineError
from pipeline.ledger.ledger import JobRecord, JobRequest, Ledger
from pipeline.ledger.states import JobState
from pipeline.manifest import Failure, JobEntry, ModelReference, finite_object
from pipeline.outputs import OutputFolder, copy_artifacts, what_is_wrong
from pipeline.plan import PlannedJob

LOG = logging.getLogger(__name__)

PACKAGE = Path(__file__).parent
"""Where the pipeline's own code lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """Where jobs are done."""

    output: OutputFolder
    """Takes the results."""

    ledger: Ledger
    """Records them."""

    again: bool
    """Whether to compute also what is done already."""

    ingest_seconds: float
    """Time that reading and checking all inputs of the run took [s]."""


def carry_out(job: PlannedJob, place: Workplace, progress: Callable[[float], None]) -> JobEntry:
    """Do a job and return how it came out; nothing that goes wrong in it is raised.

    Parameters
    ----------
    job
        The job.
    place
        Where it is done.
    progress
        Called with the share of the job that is done, 0 to 1.
    """
    entry = _entry(job)
    attempt = None
    try:
        record = place.ledger.find(job.identity.job_id)
        why = _why_again(record, job, place)
        if record is not None and why is None:
            return _reused(entry, record)
        entry = replace(entry, notes=(*entry.notes, *([why] if why else [])))
        attempt = place.ledger.begin(_request(job))
        return _computed(entry, job, place, (attempt, progress))
    except PipelineError as problem:
        failure = Failure(error=type(problem).__name__, reason=_as_text(str(problem)))
    except OSError as problem:
        said = problem.strerror or "input or output failed"
        failure = Failure(error=type(problem).__name__, reason=said)
    except Exception as problem:  # noqa: BLE001 - what is wrong with one job must not stop the next
        failure = _unexpected(problem, job)
    return replace(entry, failure=_recorded(failure, job, place, attempt))


def _entry(job: PlannedJob) -> JobEntry:
    """Return the entry of a job that has not come out yet."""
    bundle = job.analysis.bundle
    return JobEntry(
        candidate=job.candidate,
        identity=job.identity,
        bundle=ModelReference(name=bundle.name, version=bundle.version, digest=bundle.digest),
        configuration=job.analysis.configuration,
        folder=job.folder,
        software_version=__version__,
        notes=tuple(f"the same content was also given as {label}" for label in job.copies),
    )


def _request(job: PlannedJob) -> JobRequest:
    """Return a job as the ledger records it."""
    return JobRequest(
        identity=job.identity,
        study_instance_uid=job.candidate.study_instance_uid,
        series_instance_uids=job.candidate.series_instance_uids,
        bundle_name=job.analysis.bundle.name,
        bundle_version=job.analysis.bundle.version,
        software_version=__version__,
    )


def _why_again(record: JobRecord | None, job: PlannedJob, place: Workplace) -> str | None:
    """Return why a job that was begun before is done again; None if its files are in place now."""
    if record is None:
        return None
    if record.state is JobState.FAILED:
        return f"run again: the last attempt failed ({record.error})"
    if record.state is JobState.RUNNING:
        return "run again: an earlier attempt has not ended"
    if place.again:
        return "run again, as asked"
    problem = _brought_back(record, job, place)
    return problem and f"run again: {problem}"


def _brought_back(record: JobRecord, job: PlannedJob, place: Workplace) -> str | None:
    """Bring the files of a finished job into the output folder; return what is wrong with them.

    The files in the output folder itself are taken if they are whole; else those where the ledger
    has them.
    """
    target = (place.output.root / job.folder).resolve()
    here = what_is_wrong(target, record.artifacts)
    if record.folder is None or record.folder == target:
        return here
    there = what_is_wrong(record.folder, record.artifacts)
    if here is None:
        if there is not None:
            place.ledger.moved(job.identity.job_id, target)
        return None
    if there is not None:
        return f"{there} in {record.folder}"
    with place.output.working() as files:
        copy_artifacts(record.folder, record.artifacts, files)
        problem = what_is_wrong(files, record.artifacts)
        if problem is None:
            place.output.publish(files, job.folder)
        return problem


def _reused(entry: JobEntry, record: JobRecord) -> JobEntry:
    """Return the entry of a job that was done before."""
    return replace(
        entry,
        reused=True,
        software_version=record.software_version,
        outcome=record.outcome,
        artifacts=record.artifacts,
    )


def _computed(
    entry: JobEntry,
    job: PlannedJob,
    place: Workplace,
    running: tuple[int, Callable[[float], None]],
) -> JobEntry:
    """Compute a result, put its files into place, and record them."""
    attempt, progress = running
    began = perf_counter()
    series = job.candidate.load()
    loaded = perf_counter()
    with place.output.working() as files:
        performed = job.analysis.perform(series, job.identity.job_id, files, progress)
        performed_at = perf_counter()
        folder = place.output.publish(files, job.folder).resolve()
    timings = {
        "ingest": place.ingest_seconds,
        "load": loaded - began,
        **performed.timings,
        "record": perf_counter() - performed_at,
    }
    outcome = finite_object({**performed.outcome, "timings": timings})
    is_last = place.ledger.complete(
        job.identity.job_id, attempt, folder=folder, artifacts=performed.artifacts, outcome=outcome
    )
    late = () if is_last else ("a later attempt of this job has begun; the ledger waits for it",)
    return replace(
        entry, notes=(*entry.notes, *late), outcome=outcome, artifacts=performed.artifacts
    )


def _as_text(message: str) -> str:
    """Return a message that can be stored: a file's name in it may be no text."""
    return message.encode("utf-8", "backslashreplace").decode()


def _unexpected(problem: Exception, job: PlannedJob) -> Failure:
    """Return a failure that nobody foresaw: where it arose, and never its message.

    The message of a foreign exception may hold what it choked on, such as a patient's name.
    """
    frames = traceback.extract_tb(problem.__traceback__)
    error = type(problem).__name__
    # Where it arose may lie in a library; where the pipeline called it says what for.
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    places = dict.fromkeys(f"{Path(f.filename).name}:{f.lineno}" for f in (frames[-1], *ours[-1:]))
    reason = f"unexpected {error} at {', called from '.join(places)}"
    LOG.error(
        "job ended unexpectedly",
        extra={"action": "job_failed", "job_id": str(job.identity.job_id), "reason": reason},
    )
    return Failure(error=error, reason=reason)


def _recorded(failure: Failure, job: PlannedJob, place: Workplace, attempt: int | None) -> Failure:
    """Record how an attempt failed, if it was begun and the ledger can be written."""
    if attempt is None:
        return failure
    try:
        place.ledger.fail(job.identity.job_id, attempt, error=failure.error, reason=failure.reason)
    except LedgerUnavailable as problem:
        return replace(failure, reason=f"{failure.reason}; not recorded: {problem}")
    return failure
