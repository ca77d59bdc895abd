"""Readings lead from state to state by one table, and nobody changes them."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select, text

from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviews import (
    Correction,
    Reading,
    Standing,
    correction_id,
    correction_of,
    keep_correction,
    keep_reading,
    locked_readings,
    readings_of,
    standings,
    successors,
)
from pipeline.ledger.reviewstates import (
    ENDED,
    Given,
    ReviewState,
    Verdict,
    is_blind,
    state_of,
    why_not,
)
from tests.support.jobs import job_request

JOB = job_request().identity.job_id
FIX = UUID(int=7)
READING = Reading(
    reviewer="anna",
    display_name="Arends^Anna",
    verdict=Verdict.REJECTED,
    reason="motion",
    words="blurred in slice 2",
    correction_id=None,
    state=ReviewState.REJECTED,
    successor_job_id=None,
    result_digest="ab" * 32,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)
ACCEPTS, REJECTS, ASKS = Verdict.ACCEPTED, Verdict.REJECTED, Verdict.SECOND_OPINION


def said(*words: str) -> list[Given]:
    """Return readings from words: the reader, the verdict, and an edit."""
    verdicts = {"accepts": ACCEPTS, "edits": ACCEPTS, "rejects": REJECTS, "asks": ASKS}
    found = []
    for word in words:
        reviewer, verdict = word.split()
        fix = FIX if verdict == "edits" else None
        found.append(Given(reviewer=reviewer, verdict=verdicts[verdict], correction=fix))
    return found


@pytest.mark.parametrize(
    ("readings", "needed", "state"),
    [
        ((), 1, "open"),
        (("a accepts",), 1, "accepted"),
        (("a edits",), 1, "edited"),
        (("a rejects",), 1, "rejected"),
        (("a asks",), 1, "second opinion"),
        (("a asks", "b accepts"), 1, "accepted"),
        (("a accepts",), 2, "open"),
        (("a accepts", "b accepts"), 2, "accepted"),
        (("a edits", "b edits"), 2, "edited"),
        (("a rejects", "b rejects"), 2, "rejected"),
        (("a accepts", "b rejects"), 2, "disagreement"),
        (("a accepts", "b edits"), 2, "disagreement"),
        (("a accepts", "b rejects", "c edits"), 2, "edited"),
        (("a accepts", "b rejects", "c asks"), 2, "second opinion"),
        (("a accepts", "b asks"), 2, "second opinion"),
        (("a accepts", "b asks", "c accepts"), 2, "accepted"),
    ],
)
def test_the_state_follows_from_the_readings(
    readings: tuple[str, ...], needed: int, state: str
) -> None:
    assert state_of(said(*readings), needed).value == state


@given(
    st.lists(st.sampled_from([f"{r} {v}" for r in "ab" for v in ("accepts", "edits", "rejects")])),
    st.sampled_from([1, 2]),
)
def test_two_readers_who_differ_are_never_taken_for_agreement(
    words: list[str], needed: int
) -> None:
    readings = said(*words)
    if len(readings) == needed:
        views = {(r.verdict, r.correction) for r in readings}
        assert (state_of(readings, needed) is ReviewState.DISAGREEMENT) == (len(views) > 1)


@pytest.mark.parametrize(
    ("readings", "needed", "reviewer", "blind"),
    [
        ((), 2, "b", False),
        (("a accepts",), 2, "b", True),
        (("a accepts",), 2, "a", False),
        (("a accepts", "b rejects"), 2, "c", False),
        (("a accepts", "b asks"), 2, "c", False),
        (("a asks",), 1, "b", False),
        (("a accepts",), 1, "b", False),
    ],
)
def test_of_two_readers_each_judges_alone(
    readings: tuple[str, ...], needed: int, reviewer: str, *, blind: bool
) -> None:
    given = said(*readings)
    assert is_blind(given, state_of(given, needed), reviewer) == blind


class Reviewing(RuleBasedStateMachine):
    """Readers who read one result as they like; whoever may not is told why."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: list[Given] = []
        self.needed = 1
        self.state = ReviewState.OPEN

    @precondition(lambda self: not self.readings)
    @rule()
    def read_twice(self) -> None:
        self.needed = 2

    @rule(
        reviewer=st.sampled_from("abcde"),
        verdict=st.sampled_from(list(Verdict)),
        fix=st.sampled_from([None, FIX, UUID(int=8)]),
    )
    def read(self, reviewer: str, verdict: Verdict, fix: UUID | None) -> None:
        refused = why_not(self.readings, self.state, reviewer)
        judged_before = [r.reviewer for r in self.readings if r.verdict is not ASKS]
        if refused:
            last = self.readings[-1]
            assert (
                self.state in ENDED
                or reviewer in judged_before
                or (last.verdict is ASKS and last.reviewer == reviewer)
            )
            return
        assert self.state not in ENDED
        correction = fix if verdict is ACCEPTS else None
        given = Given(reviewer=reviewer, verdict=verdict, correction=correction)
        self.readings.append(given)
        self.state = state_of(self.readings, self.needed)

    @invariant()
    def no_reader_judges_twice(self) -> None:
        judged = [r.reviewer for r in self.readings if r.verdict is not ASKS]
        assert len(judged) == len(set(judged))

    @invariant()
    def a_review_ends_with_enough_readers_and_with_a_verdict(self) -> None:
        judged = [r for r in self.readings if r.verdict is not ASKS]
        assert len(judged) <= self.needed + 1
        if self.state in ENDED:
            assert len(judged) >= self.needed
            assert self.readings[-1] is judged[-1]
            assert (self.state is ReviewState.REJECTED) == (judged[-1].verdict is REJECTS)
            assert (self.state is ReviewState.EDITED) == (judged[-1].correction is not None)
        if self.state is ReviewState.DISAGREEMENT:
            assert len({(r.verdict, r.correction) for r in judged}) == 2

    @invariant()
    def somebody_can_always_go_on(self) -> None:
        fresh = why_not(self.readings, self.state, "somebody else")
        assert (fresh is not None) == (self.state in ENDED)


TestReviewing = Reviewing.TestCase


@pytest.fixture
def job(ledger: Ledger) -> UUID:
    ledger.begin(job_request())
    return JOB


def test_readings_come_back_as_they_were_given(ledger: Ledger, job: UUID) -> None:
    asked = replace(READING, verdict=ASKS, state=ReviewState.SECOND_OPINION, words=None)
    later = replace(READING, reviewer="bert", successor_job_id=uuid4())
    with ledger.transaction() as session:
        assert locked_readings(session, job) == ()
        keep_reading(session, job, asked)
    with ledger.transaction() as session:
        assert locked_readings(session, job) == (asked,)
        keep_reading(session, job, later)
    with ledger.reading() as session:
        assert readings_of(session, job) == (asked, later)
        expected = {job: Standing(state=ReviewState.REJECTED, readings=2)}
        assert standings(session) == standings(session, [job]) == expected
        assert standings(session, [uuid4()]) == {}
        assert session.scalars(successors()).all() == [later.successor_job_id]


def test_a_job_that_is_not_there_is_not_read(ledger: Ledger) -> None:
    with (
        pytest.raises(UnusableCall, match=f"no job {JOB}"),
        ledger.transaction() as session,
    ):
        locked_readings(session, JOB)


def test_the_same_correction_is_kept_once(ledger: Ledger, job: UUID) -> None:
    content = b"[]"
    wanted = correction_id(job, "anna", "phases", content)
    correction = Correction(
        id=wanted,
        job_id=job,
        author="anna",
        display_name="Arends^Anna",
        kind="phases",
        content=content,
        sha256="cd" * 32,
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    )
    for _ in range(2):
        with ledger.transaction() as session:
            keep_correction(session, correction)
    with ledger.reading() as session:
        assert correction_of(session, job, wanted) == correction
        with pytest.raises(UnusableCall, match="no correction"):
            correction_of(session, uuid4(), wanted)
    assert correction_id(job, "bert", "phases", content) != wanted


@pytest.mark.parametrize("change", ["UPDATE {} SET job_id = job_id", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["review_readings", "review_corrections"])
def test_the_database_refuses_to_change_what_readers_said(
    change: str, table: str, ledger: Ledger, job: UUID
) -> None:
    with ledger.transaction() as session:
        keep_reading(session, job, READING)
        keep_correction(
            session,
            Correction(
                id=FIX,
                job_id=job,
                author="anna",
                display_name="Arends^Anna",
                kind="phases",
                content=b"{}",
                sha256="cd" * 32,
                at=READING.at,
            ),
        )
    with (
        pytest.raises(LedgerUnavailable, match="only added"),
        ledger.transaction() as session,
    ):
        session.execute(text(change.format(table)))
    with ledger.reading() as session:
        assert session.execute(select(text(f"count(*) from {table}"))).scalar_one() == 1
