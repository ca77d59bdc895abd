"""One job: reuse its result, or compute, write and record it.

Files come into place only while the attempt is the job's last, and before the ledger says so; a job
whose files were lost or altered is computed again. A failure of any kind ends the job and not the
run.
"""

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, TypeVar

from pipeline import __version__
from pipeline.analysis import Performed
from pipeline.driftsettings import DriftSettings
from pipeline.errors import LedgerUnavailable, PipelineError
from pipeline.flush import flush_tree
from pipeline.ledger.given import Given
from pipeline.ledger.ledger import JobRecord, JobRequest, Ledger, Transaction
from pipeline.ledger.states import JobState
from pipeline.manifest import Failure, JobEntry, ModelReference, finite_object
from pipeline.outputs import OutputFolder, copy_artifacts, what_is_wrong
from pipeline.plan import PlannedJob
from pipeline.study import Artifact

if TYPE_CHECKING:
    from pipeline.ledger.statistics import Described

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
"""Pause before the ledger is tried again; it doubles each time [s]."""

PACKAGE = Path(__file__).parent
"""Where the pipeline's own code lies."""


FollowUp = Callable[[Path, Path], Callable[[Transaction], object]]
"""From the folder that holds the files now and the one that will, to what adds to a transaction."""


def _nothing_follows(_now: Path, _then: Path) -> Callable[[Transaction], object]:
    """Add nothing."""
    return lambda _: None


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

    patience_s: float = 0.0
    """For how long the end of an attempt is tried to be recorded if the ledger is away [s]."""

    follow_up: FollowUp = _nothing_follows
    """Tells what is to be recorded together with a result: the jobs that its files are for."""

    drift: DriftSettings = field(default_factory=DriftSettings)
    """How the statistics of its input are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What an attempt has made."""

    outcome: Mapping[str, object]
    """Measurements, uncertainty, notes and timings, as in the manifest."""

    artifacts: tuple[Artifact, ...]
    """The files."""

    is_last: bool
    """Whether it was the job's last attempt: else its files are not in place and not recorded."""


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
            _keep_inputs(job, place)
            return _reused(entry, record)
        entry = replace(entry, notes=(*entry.notes, *([why] if why else [])))
        attempt = place.ledger.begin(job_request(job), given(job))
        made = carry_out_attempt(job, place, attempt, progress)
        late = "a later attempt of this job has begun; the ledger waits for it"
        notes = entry.notes if made.is_last else (*entry.notes, late)
        return replace(entry, notes=notes, outcome=made.outcome, artifacts=made.artifacts)
    except Exception as problem:  # noqa: BLE001 - what is wrong with one job must not stop the next
        failure = failure_of(problem, str(job.identity.job_id))
    return replace(entry, failure=_recorded(failure, job, place, attempt))


def failure_of(problem: Exception, job_id: str) -> Failure:
    """Return what ended a job, in words that are safe to store."""
    error = type(problem).__name__
    if isinstance(problem, PipelineError):
        return Failure(error=error, reason=_as_text(str(problem)))
    if isinstance(problem, OSError):
        return Failure(error=error, reason=problem.strerror or "input or output failed")
    return _unexpected(problem, job_id)


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


def job_request(job: PlannedJob) -> JobRequest:
    """Return a job as the ledger records it."""
    return JobRequest(
        identity=job.identity,
        study_instance_uid=job.candidate.study_instance_uid,
        series_instance_uids=job.candidate.series_instance_uids,
        bundle_name=job.analysis.bundle.name,
        bundle_version=job.analysis.bundle.version,
        software_version=__version__,
    )


def given(job: PlannedJob) -> Given:
    """Return where the files of a job lie, and its settings."""
    files = [Path(os.path.abspath(path)) for path in job.candidate.files]  # noqa: PTH100 - keeps links
    root = Path(os.path.commonpath([path.parent for path in files]))
    return Given(
        input_root=root,
        inputs=tuple(path.relative_to(root).as_posix() for path in files),
        configuration=job.analysis.configuration,
    )


def _keep_inputs(job: PlannedJob, place: Workplace) -> None:
    """Record where the input of a job that is done lies, if the ledger does not have it."""
    # Only now: most series are new.
    from pipeline.ledger.pastjobs import past_job

    known = past_job(place.ledger, job.identity.job_id).files
    if known is None or not all(path.is_file() for path in known):
        place.ledger.found_again(job.identity.job_id, given(job))


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


def carry_out_attempt(
    job: PlannedJob, place: Workplace, attempt: int, progress: Callable[[float], None]
) -> Made:
    """Compute a result, put its files into place, and record them.

    Parameters
    ----------
    job
        The job.
    place
        Where it is done.
    attempt
        The attempt, begun or claimed in the ledger.
    progress
        Called with the share of the job that is done, 0 to 1.
    """
    # Only now: a run whose results are there already describes no input.
    from pipeline.drift.describe import describe

    began = perf_counter()
    series = replace(job.candidate.load(), predecessor=job.identity.predecessor)
    loaded = perf_counter()
    with place.output.working() as files:
        performed = job.analysis.perform(series, job.identity.job_id, files, progress)
        performed_at = perf_counter()
        bundle = f"{job.analysis.bundle.name} {job.analysis.bundle.version}"
        described = describe(series, performed.outcome, bundle, place.drift)
        flush_tree(files)
        timings = {
            "ingest": place.ingest_seconds,
            "load": loaded - began,
            **performed.timings,
            "record": perf_counter() - performed_at,
        }
        outcome = finite_object({**performed.outcome, "timings": timings})
        made = (performed, outcome, described)
        is_last = _completed((job, attempt), place, files, made)
    return Made(outcome=outcome, artifacts=performed.artifacts, is_last=is_last)


def _completed(
    running: tuple[PlannedJob, int],
    place: Workplace,
    files: Path,
    made: "tuple[Performed, Mapping[str, object], Described]",
) -> bool:
    """Move an attempt's files into place and record them; tell whether it was the job's last."""
    from pipeline.ledger.statistics import record_within

    (job, attempt), (performed, outcome, described) = running, made
    folder = (place.output.root / job.folder).resolve()

    follow_up = place.follow_up(files, folder)

    def publish(transaction: Transaction) -> None:
        place.output.move(files, job.folder)
        follow_up(transaction)
        record_within(transaction, job.identity.job_id, described)

    return persistently(
        lambda: place.ledger.complete(
            job.identity.job_id,
            attempt,
            folder=folder,
            artifacts=performed.artifacts,
            outcome=outcome,
            publish=publish,
        ),
        place.patience_s,
    )


Result = TypeVar("Result")


def persistently(record: Callable[[], Result], patience_s: float) -> Result:
    """Record something in the ledger, and wait for a ledger that is away.

    Parameters
    ----------
    record
        Records it; may be called again after it has failed.
    patience_s
        For how long it is tried [s].

    Raises
    ------
    LedgerUnavailable
        If the ledger is still away then.
    """
    until, pause_s = monotonic() + patience_s, FIRST_PAUSE_S
    while True:
        try:
            return record()
        except LedgerUnavailable:
            if monotonic() + pause_s > until:
                raise
        time.sleep(pause_s)
        pause_s *= 2


def _as_text(message: str) -> str:
    """Return a message that can be stored: a file's name in it may be no text."""
    return message.encode("utf-8", "backslashreplace").decode()


def _unexpected(problem: Exception, job_id: str) -> Failure:
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
        extra={"action": "job_failed", "job_id": job_id, "reason": reason},
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
