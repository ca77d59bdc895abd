"""Verdicts: a reader judges a result, and what follows from it is recorded with the reading.

A reading that ends a review with acceptance makes the verified result: its files first, then one
transaction that holds the reading, the successor's job, its deliveries and the audit event. A
reading that is given twice is recorded once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from pipeline import __version__
from pipeline.config import Configuration
from pipeline.deliver.choose import destinations_after_review
from pipeline.encode.context import EncodingContext, Verifier
from pipeline.errors import ReviewRefused, UnusableCall
from pipeline.identity import digest_set
from pipeline.ledger.audit import Audited, record_within
from pipeline.ledger.events import Event
from pipeline.ledger.events import record as add_event
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.listing import routing_of
from pipeline.ledger.pastjobs import PastJob, past_job
from pipeline.ledger.reviews import (
    LONGEST_WORDS,
    Correction,
    Reading,
    correction_of,
    keep_reading,
    locked_readings,
    readings_of,
    verified_or_replaced,
)
from pipeline.ledger.reviewstates import ENDED, Given, ReviewState, Verdict, state_of, why_not
from pipeline.ledger.states import JobState
from pipeline.ledger.succession import (
    REVIEW,
    Successor,
    add_successor,
    deliver_successor,
    succession,
    withdraw,
)
from pipeline.manifest import finite_object
from pipeline.outputs import OutputFolder, flush_tree
from pipeline.plan import SHOWN_DIGITS
from pipeline.review.corrected import write_corrected
from pipeline.review.reasons import check_reason
from pipeline.review.verify import whole_folder, write_accepted, write_verdict
from pipeline.study import Artifact

ARCHIVES = ("c-store", "stow-rs")
"""Ways to destinations that have an object once, whatever job it came from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Who reads."""

    name: str
    """The account."""

    display_name: str
    """The person's name, as results say it."""

    role: str | None = None
    """What the account may do."""

    address: str | None = None
    """Network address that the reader comes from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a reader says of a result."""

    verdict: Verdict
    """The verdict."""

    reason: str | None = None
    """Code of the reason, for a rejection."""

    words: str | None = None
    """What the reader adds."""

    correction: UUID | None = None
    """The correction with which it is accepted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Where results are read."""

    ledger: Ledger
    """The ledger."""

    configuration: Configuration
    """The site's settings: how many read, who verifies, where results go."""

    clock: Callable[[], datetime]
    """The time, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """A result on the desk."""

    past: PastJob
    """The job."""

    readings: tuple[Reading, ...]
    """What was said before."""

    correction: Correction | None
    """The correction that the reader names."""


def readable(job_id: UUID, desk: Desk) -> PastJob:
    """Return a job whose result can be read.

    Raises
    ------
    UnusableCall
        If there is no such job.
    ReviewRefused
        If it has no result, is itself the verified result of another, or late instances have made
        a later one.
    """
    past = past_job(desk.ledger, job_id)
    if past.record.state is not JobState.DONE:
        raise ReviewRefused(f"job {job_id} is {past.record.state.value}")
    with desk.ledger.reading() as session:
        made, later = verified_or_replaced(session, job_id)
    if made:
        raise ReviewRefused(f"job {job_id} is a verified result")
    if later is not None:
        raise ReviewRefused(f"job {later} takes the place of job {job_id}: read that one")
    return past


def may_judge(job_id: UUID, reviewer: str, desk: Desk) -> str | None:
    """Return why a reader may not judge a result; None if it is possible.

    Raises
    ------
    UnusableCall
        If there is no such job.
    """
    try:
        readable(job_id, desk)
    except ReviewRefused as problem:
        return str(problem)
    with desk.ledger.reading() as session:
        readings = readings_of(session, job_id)
    return _why_not(readings, reviewer)


def give_verdict(job_id: UUID, said: Said, reader: Reader, desk: Desk) -> Reading:
    """Record what a reader says of a result, and all that follows from it.

    Raises
    ------
    UnusableCall
        If there is no such job or correction.
    ReviewRefused
        If the state of the review or of the result forbids it.
    """
    past = readable(job_id, desk)
    _check(said, past)
    with desk.ledger.reading() as session:
        readings = readings_of(session, job_id)
        correction = (
            None if said.correction is None else correction_of(session, job_id, said.correction)
        )
    known = _given_before(readings, said, reader)
    if known is not None:
        return known
    case = _Case(past=past, readings=readings, correction=correction)
    reading = _reading(case, said, reader, desk)
    with ExitStack() as held, _writable():
        successor, publish = None, None
        if reading.state in ENDED - {ReviewState.REJECTED}:
            successor, publish = _successor(case, reading, desk, held)
            values = {name: getattr(reading, name) for name in Reading.__slots__}
            reading = Reading(**{**values, "successor_job_id": successor.identity.job_id})
        _recorded(case, (reading, successor), reader, desk, publish)
    return reading


@contextmanager
def _writable() -> Iterator[None]:
    """Say of a folder that cannot be written that nothing was recorded."""
    try:
        yield
    except OSError as problem:
        told = problem.strerror or "input or output failed"
        raise ReviewRefused(f"the verified result cannot be written ({told})") from problem


def _check(said: Said, past: PastJob) -> None:
    """Check what a reader says, whatever the state of the review."""
    if said.verdict is Verdict.REJECTED:
        check_reason(said.reason, said.words, past.analysis)
    elif said.reason is not None:
        raise ReviewRefused("a reason is for a rejection")
    if said.correction is not None and said.verdict is not Verdict.ACCEPTED:
        raise ReviewRefused("a correction is for an acceptance")
    if len(said.words or "") > LONGEST_WORDS:
        raise ReviewRefused(f"words have {LONGEST_WORDS} characters at most")


def _given_before(readings: Sequence[Reading], said: Said, reader: Reader) -> Reading | None:
    """Return the last reading if it is this one: a request that was sent twice."""
    if not readings:
        return None
    last = readings[-1]
    before = Said(
        verdict=last.verdict,
        reason=last.reason,
        words=last.words,
        correction=last.correction_id,
    )
    return last if last.reviewer == reader.name and before == said else None


def _reading(case: _Case, said: Said, reader: Reader, desk: Desk) -> Reading:
    """Return the reading, with the state that it leads to."""
    refused = _why_not(case.readings, reader.name)
    if refused is not None:
        raise ReviewRefused(refused)
    whole_folder(case.past)
    mine = Given(reviewer=reader.name, verdict=said.verdict, correction=said.correction)
    needed = desk.configuration.review.readers_of(case.past.analysis)
    return Reading(
        reviewer=reader.name,
        display_name=reader.display_name,
        verdict=said.verdict,
        reason=said.reason,
        words=said.words,
        correction_id=said.correction,
        state=state_of([*(r.given() for r in case.readings), mine], needed),
        successor_job_id=None,
        result_digest=digest_set(a.sha256 for a in case.past.record.artifacts),
        at=desk.clock().replace(microsecond=0),
    )


def _why_not(readings: Sequence[Reading], reviewer: str) -> str | None:
    """Return why a reader may not add a reading."""
    state = readings[-1].state if readings else ReviewState.OPEN
    return why_not([reading.given() for reading in readings], state, reviewer)


def _successor(
    case: _Case, reading: Reading, desk: Desk, held: ExitStack
) -> tuple[Successor, Callable[[], Path]]:
    """Make the files of the verified result; return it, and what moves them into place."""
    past, author = case.past, case.correction
    agreed = [
        r
        for r in (*case.readings, reading)
        if (r.verdict, r.correction_id) == (Verdict.ACCEPTED, reading.correction_id)
    ]
    decided = {
        "state": reading.state.value,
        "readers": [r.reviewer for r in agreed],
        "correction": None if author is None else author.sha256,
        "author": None if author is None else author.author,
    }
    configuration = {REVIEW: decided}
    identity = succession(past, configuration)
    organization = desk.configuration.review.organization
    name, _, version = past.bundle.rpartition(" ")
    context = EncodingContext(
        job_id=identity.job_id,
        software_version=__version__,
        bundle_name=name,
        bundle_version=version,
        bundle_digest=past.bundle_digest,
        predecessor=past.job_id,
        verifiers=tuple(
            Verifier(name=r.display_name, organization=organization, at=r.at) for r in agreed
        ),
        author=None if author is None else author.display_name,
    )
    folder = whole_folder(past)
    output = _output(folder.parent)
    files = held.enter_context(output.working())
    artifacts, outcome = _written(case, context, desk, files)
    verdict = _verdict(past, agreed, reading, organization)
    artifacts = (*artifacts, write_verdict(verdict, files))
    flush_tree(files)
    place = f"{past.analysis}-{identity.job_id.hex[:SHOWN_DIGITS]}"
    successor = Successor(
        identity=identity,
        configuration=configuration,
        folder=(output.root / place).resolve(),
        artifacts=artifacts,
        outcome=finite_object({**outcome, REVIEW: verdict}),
    )
    return successor, lambda: output.move(files, place)


def _output(root: Path) -> OutputFolder:
    """Return the folder that verified results appear in, beside the results that were read."""
    try:
        return OutputFolder.open(root)
    except UnusableCall as problem:
        raise ReviewRefused(str(problem)) from problem


def _written(
    case: _Case, context: EncodingContext, desk: Desk, files: Path
) -> tuple[tuple[Artifact, ...], Mapping[str, object]]:
    """Write the verified result as it is, or as it was corrected."""
    if case.correction is not None:
        return write_corrected(case.past, case.correction, context, desk.configuration, files)
    return write_accepted(case.past, context, files), case.past.record.outcome or {}


def _verdict(
    past: PastJob, agreed: Sequence[Reading], reading: Reading, organization: str
) -> dict[str, object]:
    """Return what was said of a result, as its file says it."""
    return {
        "state": reading.state.value,
        "predecessor": str(past.job_id),
        "correction": None if reading.correction_id is None else str(reading.correction_id),
        "organization": organization,
        "verified_by": [{"name": r.display_name, "at": r.at.isoformat()} for r in agreed],
    }


def _recorded(
    case: _Case,
    made: tuple[Reading, Successor | None],
    reader: Reader,
    desk: Desk,
    publish: Callable[[], Path] | None,
) -> None:
    """Record a reading with all that follows from it, or nothing."""
    (reading, successor), job_id = made, case.past.job_id
    routing = routing_of(desk.ledger, job_id)
    with desk.ledger.transaction() as session:
        if locked_readings(session, job_id) != case.readings:
            raise ReviewRefused("another reader has judged this result just now: look again")
        keep_reading(session, job_id, reading)
        if successor is not None and publish is not None:
            publish()
            add_successor(session, job_id, successor)
            _deliver(session, (case.past, successor), routing, desk)
        elif reading.state is ReviewState.REJECTED:
            withdraw(session, job_id)
        attempts = case.past.record.attempts
        detail = f"{reading.verdict.value} by {reader.name}: {reading.state.value}"
        add_event(session, job_id, (Event.REVIEWED, attempts), detail=detail)
        record_within(session, _audited(job_id, reading, reader))


def _deliver(
    session: Transaction,
    jobs: tuple[PastJob, Successor],
    routing: Mapping[str, object] | None,
    desk: Desk,
) -> None:
    """Have the verified result delivered."""
    (past, successor), configured = jobs, desk.configuration.destinations
    names = destinations_after_review(past.analysis, routing, configured)
    has_once = {name: configured[name].by in ARCHIVES for name in names}
    ids = (past.job_id, successor.identity.job_id)
    deliver_successor(session, desk.ledger, ids, has_once)


def _audited(job_id: UUID, reading: Reading, reader: Reader) -> Audited:
    """Return the event of a verdict; what the reader typed is not in it."""
    successor, correction = reading.successor_job_id, reading.correction_id
    return Audited(
        action="verdict",
        actor=reader.name,
        subject=f"job {job_id}",
        detail={
            "verdict": reading.verdict.value,
            "state": reading.state.value,
            "reason": reading.reason,
            "correction": None if correction is None else str(correction),
            "successor": None if successor is None else str(successor),
        },
        role=reader.role,
        address=reader.address,
    )
