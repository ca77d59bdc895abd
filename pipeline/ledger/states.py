"""The states of a job, and the one table of how it may go from one to another."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    """It was submitted, and waits for a worker or for its time."""

    RUNNING = "running"
    """An attempt was begun; it may still run, or its process may have died."""

    DONE = "done"
    """Its artifacts are written and recorded."""

    FAILED = "failed"
    """Its last attempt ended without a result, for a reason that stays; the reason is recorded."""

    QUARANTINED = "quarantined"
    """It has used up its attempts, or was set aside by a person: no worker touches it again."""

    CANCELLED = "cancelled"
    """A person has ended it."""


BEGINNING: frozenset[JobState] = frozenset({JobState.WAITING, JobState.RUNNING})
"""What a job that is not yet recorded may become."""

ALLOWED: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.QUARANTINED}),
    # Running again: the process of the attempt before died, or another runs beside this one.
    # Waiting: the attempt is to be repeated, was handed back, or its lease has run out.
    JobState.RUNNING: frozenset(JobState),
    # Run again on demand, or because an artifact is missing or altered.
    JobState.DONE: frozenset({JobState.RUNNING, JobState.WAITING}),
    # A run without the service tries again; the service does when it is asked to.
    JobState.FAILED: frozenset({JobState.RUNNING, JobState.WAITING}),
    JobState.QUARANTINED: frozenset({JobState.RUNNING, JobState.WAITING}),
    JobState.CANCELLED: frozenset({JobState.RUNNING, JobState.WAITING}),
}
"""What a job may become, by what it is."""

ENDED: frozenset[JobState] = frozenset(
    {JobState.DONE, JobState.FAILED, JobState.QUARANTINED, JobState.CANCELLED}
)
"""States in which nothing happens to a job any more unless somebody asks for it."""


def may_become(now: JobState | None, then: JobState) -> bool:
    """Tell whether a job may go from one state to another; None is a job not yet recorded."""
    return then in (BEGINNING if now is None else ALLOWED[now])


def before(then: JobState) -> tuple[JobState, ...]:
    """Return the recorded states that a job may come from."""
    return tuple(state for state in JobState if may_become(state, then))
