"""Where the review of a result stands, and the one table of how readings lead from state to state.

A reading is what one reader says of one result. Readings are added and never changed; the state
follows from all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ReviewState(StrEnum):
    """Where the review of a result stands."""

    OPEN = "open"
    """Readings are still needed."""

    ACCEPTED = "accepted"
    """It is right as it is."""

    EDITED = "edited"
    """It is right as it was corrected."""

    REJECTED = "rejected"
    """It is not to be used."""

    SECOND_OPINION = "second opinion"
    """A reader wants another one to judge."""

    DISAGREEMENT = "disagreement"
    """Two readers judge it differently: a third one decides."""


ENDED = frozenset({ReviewState.ACCEPTED, ReviewState.EDITED, ReviewState.REJECTED})
"""States in which no further reading is taken."""


class Verdict(StrEnum):
    """What a reader says of a result."""

    ACCEPTED = "accepted"
    """It is right, as it is or with the correction that the reading names."""

    REJECTED = "rejected"
    """It is not to be used."""

    SECOND_OPINION = "second opinion"
    """Another reader shall judge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the state follows from, of one reading."""

    reviewer: str
    """Name of the reader's account."""

    verdict: Verdict
    """What the reader says."""

    correction: UUID | None = None
    """The correction with which it is accepted."""


def state_of(readings: Sequence[Given], needed: int) -> ReviewState:
    """Return where a review stands.

    Parameters
    ----------
    readings
        All readings, in order.
    needed
        Readers who must agree: 1, or 2 for double reading.
    """
    if not readings:
        return ReviewState.OPEN
    if readings[-1].verdict is Verdict.SECOND_OPINION:
        return ReviewState.SECOND_OPINION
    judged = [reading for reading in readings if reading.verdict is not Verdict.SECOND_OPINION]
    if len(judged) < needed:
        return ReviewState.OPEN
    # One more than is needed comes only after a disagreement, and decides it.
    views = {(reading.verdict, reading.correction) for reading in judged}
    if len(judged) > needed or len(views) == 1:
        return _outcome(judged[-1])
    return ReviewState.DISAGREEMENT


def why_not(readings: Sequence[Given], state: ReviewState, reviewer: str) -> str | None:
    """Return why a reader may not add a reading; None if it is possible.

    Parameters
    ----------
    readings
        All readings, in order.
    state
        Where the review stands.
    reviewer
        Name of the reader's account.
    """
    if state in ENDED:
        return f"the review has ended: {state.value}"
    if any(r.reviewer == reviewer and r.verdict is not Verdict.SECOND_OPINION for r in readings):
        return "you have judged this result: another reader is needed"
    if state is ReviewState.SECOND_OPINION and readings[-1].reviewer == reviewer:
        return "you have asked for a second opinion: another reader is needed"
    return None


def is_blind(readings: Sequence[Given], state: ReviewState, reviewer: str) -> bool:
    """Tell whether a reader may not see yet what others said: of two readers, each judges alone.

    Parameters
    ----------
    readings
        All readings, in order.
    state
        Where the review stands: open with a reading is one that needs two.
    reviewer
        Name of the reader's account.
    """
    judged = [r.reviewer for r in readings if r.verdict is not Verdict.SECOND_OPINION]
    return state is ReviewState.OPEN and bool(judged) and reviewer not in judged


def _outcome(reading: Given) -> ReviewState:
    """Return the state that a reading which decides leads to."""
    if reading.verdict is Verdict.REJECTED:
        return ReviewState.REJECTED
    return ReviewState.ACCEPTED if reading.correction is None else ReviewState.EDITED
