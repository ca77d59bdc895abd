"""The states of a job, and the one table of how it may go from one to another."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    """An attempt was begun; it may still run, or its process may have died."""

    DONE = "done"
    """Its artifacts are written and recorded."""

    FAILED = "failed"
    """Its last attempt ended without a result; the reason is recorded."""


BEGINNING: frozenset[JobState] = frozenset({JobState.RUNNING})
"""What a job that is not yet recorded may become."""

ALLOWED: dict[JobState, frozenset[JobState]] = {
    # Begun again: the process of the attempt before died, or another runs beside this one.
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.DONE, JobState.FAILED}),
    # Run again on demand, or because an artifact is missing or altered.
    JobState.DONE: frozenset({JobState.RUNNING}),
    # Every run of a failed job tries again.
    JobState.FAILED: frozenset({JobState.RUNNING}),
}
"""What a job may become, by what it is."""


def may_become(now: JobState | None, then: JobState) -> bool:
    """Tell whether a job may go from one state to another; None is a job not yet recorded."""
    return then in (BEGINNING if now is None else ALLOWED[now])


def before(then: JobState) -> tuple[JobState, ...]:
    """Return the recorded states that a job may come from."""
    return tuple(state for state in JobState if may_become(state, then))
