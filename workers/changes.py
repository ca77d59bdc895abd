"""Change a job by its name, and say where it stands then."""

from collections.abc import Callable
from uuid import UUID

from pipeline.errors import UnusableCall
from pipeline.ledger.care import Care
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.listing import job_named
from pipeline.ledger.states import JobState


def changed(place: str, name: str, change: Callable[[Care, UUID], JobState | None]) -> str:
    """Change a job, and return its id and its state.

    Parameters
    ----------
    place
        Where the ledger is.
    name
        Id of the job, or its first digits.
    change
        Changes it, and returns its state; None if the service does not know it.

    Raises
    ------
    UnusableCall
        If there is no such job, more than one, or one that was never submitted.
    """
    with Ledger.open(place) as ledger:
        job = job_named(ledger, name)
        state = change(Care(ledger), job.job_id)
    if state is None:
        raise UnusableCall(f"job {job.job_id} was not submitted to the service: submit it")
    return f"{job.job_id}  {state.value}"
