"""A study that is whole becomes jobs, in the transaction that takes it.

A series that was analysed before, and has grown since, is a revision: its new job names the job
whose result it takes the place of, jobs of the smaller series that wait still are cancelled, and
one that runs is waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from pipeline.ledger.arrivals import Arrivals, Arriving
from pipeline.ledger.ledger import JobRequest, Ledger, Transaction
from pipeline.ledger.lineage import lineage_of, overtake
from pipeline.ledger.queue import JobOrder, Queue, Submission
from pipeline.ledger.roles import Role
from pipeline.ledger.transfers import note_received
from pipeline.submit import Found

REVISION = "late instances made a revision of it"
"""Why a job was submitted that has a predecessor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of a study that was to be taken."""

    jobs: tuple[Submission, ...] = ()
    """Its jobs, without those of shadows."""

    waits_for: UUID | None = None
    """A job of an earlier state of the study that runs; nothing was done."""

    is_overtaken: bool = False
    """Whether an instance has come meanwhile; nothing was done."""


def take(study: Arriving, why: str, found: Found, ledger: Ledger) -> Taken:
    """Take a study and submit its jobs, or do nothing.

    Parameters
    ----------
    study
        The study as it was seen.
    why
        What it is taken for whole for.
    found
        The jobs that its files make.
    ledger
        The ledger.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be written: nothing is done then.
    """
    with ledger.transaction() as session:
        asked, running = _with_predecessors(session, found.asked)
        if running is not None:
            return Taken(waits_for=running)
        if not Arrivals(ledger).take(session, study, why):
            return Taken(is_overtaken=True)
        jobs = []
        for request, order in asked:
            overtake(session, request)
            detail = why if order.predecessor is None else f"{why}; {REVISION}"
            job = Queue(ledger).submit_within(session, (request, order), detail=detail)
            if order.role is not Role.SHADOW:
                jobs.append(job)
        note_received(session, study.arrival_id)
    return Taken(jobs=tuple(jobs))


def _with_predecessors(
    session: Transaction, asked: Sequence[tuple[JobRequest, JobOrder]]
) -> tuple[list[tuple[JobRequest, JobOrder]], UUID | None]:
    """Return jobs with the jobs that they take the place of, or one that must end first."""
    found = []
    for request, order in asked:
        if order.role is Role.SHADOW:
            # Nothing of it takes the place of anything.
            found.append((request, order))
            continue
        lineage = lineage_of(session, request)
        if lineage.running is not None:
            return [], lineage.running
        identity = replace(request.identity, predecessor=lineage.predecessor)
        found.append(
            (
                replace(request, identity=identity),
                replace(order, predecessor=lineage.predecessor),
            )
        )
    return found, None
