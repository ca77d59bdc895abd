"""The queue keeps its promises, whatever is done with a job in whatever order, and by how many."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from pipeline.ledger.care import Care
from pipeline.ledger.events import Event
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.outbox import Outbox
from pipeline.ledger.queue import JobOrder, Queue, Renewal
from pipeline.ledger.states import ENDED, JobState, may_become
from pipeline.ledger.tables import Bell
from tests.support.jobs import artifact, job_request

ORDER = JobOrder(
    lane="routine",
    priority=0,
    attempts=2,
    input_root=Path("/in"),
    inputs=("a.dcm",),
    configuration={"x": 1},
    output=Path("/out"),
)
LONG_S, OVER_S = 1000.0, -1.0
NAMES = count()


def alive(_owner: str) -> bool:
    return False


class QueueLife(RuleBasedStateMachine):
    """One job of the queue against a model of it."""

    place = ""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger.open(self.place)
        self.queue, self.care = Queue(self.ledger), Care(self.ledger)
        self.request = job_request(f"{id(self)} {next(NAMES)}")
        self.job: UUID = self.request.identity.job_id
        self.state: JobState | None = None
        self.attempts = self.allowed = 0
        self.leased = self.expired = self.later = self.cancelling = False

    def become(self, state: JobState) -> None:
        assert may_become(self.state, state)
        self.state = state
        self.leased = self.expired = self.later = self.cancelling = False

    def try_again(self, *, later: bool) -> None:
        if self.attempts < self.allowed:
            self.become(JobState.WAITING)
            self.later = later
        else:
            self.become(JobState.QUARANTINED)

    def is_held(self, back: int) -> bool:
        return back == 0 and self.state is JobState.RUNNING

    @rule(again=st.booleans(), attempts=st.integers(1, 3))
    def submit(self, *, again: bool, attempts: int) -> None:
        order = replace(ORDER, attempts=attempts)
        found = self.queue.submit(self.request, order, again=again)
        left = self.state is JobState.RUNNING and not self.leased
        if self.state is None or left or (again and self.state in ENDED):
            self.become(JobState.WAITING)
            self.allowed = self.attempts + attempts
            assert found.is_new
        else:
            assert not found.is_new
        assert found.state is self.state

    @rule(at_once=st.sampled_from([1, 1, 4]), lease_s=st.sampled_from([LONG_S, OVER_S]))
    def claim(self, at_once: int, lease_s: float) -> None:
        can = self.state is JobState.WAITING and not self.later and self.attempts < self.allowed

        def claim(number: int) -> int | None:
            with Ledger.open(self.place) as ledger:
                claim = Queue(ledger).claim(self.job, f"worker {number}", lease_s)
            return claim.attempt if claim else None

        with ThreadPoolExecutor(at_once) as threads:
            attempts = [a for a in threads.map(claim, range(at_once)) if a is not None]
        assert attempts == ([self.attempts + 1] if can else [])
        if can:
            self.become(JobState.RUNNING)
            self.attempts += 1
            self.leased, self.expired = True, lease_s < 0

    @rule()
    def begin_without_the_service(self) -> None:
        self.attempts += 1
        assert self.ledger.begin(self.request) == self.attempts
        if self.state is None:
            self.allowed = 3
        self.become(JobState.RUNNING)

    @rule(back=st.integers(0, 2))
    def renew(self, back: int) -> None:
        found = self.queue.renew(self.job, self.attempts - back, LONG_S)
        if not self.is_held(back):
            assert found is Renewal.LOST
            return
        assert found is (Renewal.CANCELLED if self.cancelling else Renewal.HELD)
        self.leased, self.expired = True, False

    @rule(back=st.integers(0, 2))
    def complete(self, back: int) -> None:
        published: list[object] = []
        recorded = self.ledger.complete(
            self.job,
            self.attempts - back,
            folder=Path("/out"),
            artifacts=(artifact("a"),),
            outcome={},
            publish=published.append,
        )
        assert recorded == bool(published) == self.is_held(back)
        if recorded:
            self.become(JobState.DONE)

    @rule(back=st.integers(0, 2))
    def fail(self, back: int) -> None:
        recorded = self.ledger.fail(self.job, self.attempts - back, error="E", reason="r")
        assert recorded == self.is_held(back)
        if recorded:
            self.become(JobState.FAILED)

    @rule(back=st.integers(0, 2), after_s=st.sampled_from([0.0, LONG_S]))
    def repeat(self, back: int, after_s: float) -> None:
        held = self.is_held(back)
        found = self.queue.repeat(self.job, self.attempts - back, ("OSError", "full"), after_s)
        if held:
            self.try_again(later=after_s > 0)
        assert found is (self.state if held else None)

    @rule(back=st.integers(0, 2))
    def hand_back(self, back: int) -> None:
        held = self.is_held(back)
        assert self.queue.hand_back(self.job, self.attempts - back) == held
        if held:
            self.become(JobState.WAITING)
            self.allowed += 1

    @rule(back=st.integers(0, 2))
    def end_as_cancelled(self, back: int) -> None:
        held = self.is_held(back)
        assert self.queue.cancelled(self.job, self.attempts - back) == held
        if held:
            self.become(JobState.CANCELLED)

    @rule()
    def cancel(self) -> None:
        found = self.care.cancel(self.job)
        if self.state is JobState.WAITING:
            self.become(JobState.CANCELLED)
        elif self.state is JobState.RUNNING:
            self.cancelling = True
        assert found is self.state

    @rule()
    def reap(self) -> None:
        reaped = self.job in self.queue.reap(alive)
        assert reaped == (self.state is JobState.RUNNING and self.expired)
        if reaped and self.cancelling:
            self.become(JobState.CANCELLED)
        elif reaped:
            self.try_again(later=False)

    @rule()
    def retry(self) -> None:
        found = self.care.retry(self.job, 2)
        if self.state in ENDED and found is not None:
            self.become(JobState.WAITING)
            self.allowed = self.attempts + 2
        assert found in (self.state, None)

    @rule()
    def quarantine(self) -> None:
        found = self.care.quarantine(self.job, "by hand")
        if self.state in (JobState.WAITING, JobState.RUNNING):
            self.become(JobState.QUARANTINED)
        assert found is self.state

    @rule(priority=st.integers(-2, 2))
    def prioritise(self, priority: int) -> None:
        assert self.care.prioritise(self.job, priority) is self.state

    @invariant()
    def agrees(self) -> None:
        found = self.ledger.find(self.job)
        assert (None if found is None else found.state) is self.state
        if found is not None:
            assert found.attempts == self.attempts

    @invariant()
    def is_called_exactly_while_it_waits(self) -> None:
        with self.ledger.reading() as session:
            calls = session.scalars(select(Bell).where(Bell.job_id == self.job)).all()
        assert len(calls) == (self.state is JobState.WAITING)

    def teardown(self) -> None:
        self.ledger.close()


def test_a_job_goes_through_its_states_as_the_table_says(place: str) -> None:
    machine = type("QueueLifeHere", (QueueLife,), {"place": place})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None, derandomize=True),
    )


def submitted(queue: Queue, name: str, lane: str = "routine", priority: int = 0) -> UUID:
    """Submit a job, and return its id."""
    order = replace(ORDER, lane=lane, priority=priority)
    return queue.submit(job_request(name), order).job_id


def test_calls_are_made_by_priority_and_only_so_many_at_a_time(ledger: Ledger) -> None:
    queue, outbox = Queue(ledger), Outbox(ledger)
    jobs = [submitted(queue, str(n), priority=n % 3) for n in range(9)]
    first = outbox.due("routine", 4)
    assert [call.job_id for call in first] == [jobs[2], jobs[5], jobs[8], jobs[1]]
    outbox.made(first, LONG_S)
    assert outbox.due("routine", 4) == ()
    assert queue.claim(jobs[2], "worker", LONG_S) is not None
    assert [call.job_id for call in outbox.due("routine", 4)] == [jobs[4]]
    Care(ledger).prioritise(jobs[0], 9)
    assert [call.job_id for call in outbox.due("routine", 4)] == [jobs[0]]


def test_a_lane_does_not_wait_for_another(ledger: Ledger) -> None:
    queue, outbox = Queue(ledger), Outbox(ledger)
    for number in range(5):
        submitted(queue, f"b{number}", lane="batch")
    stat = submitted(queue, "s", lane="stat")
    assert [call.job_id for call in outbox.due("stat", 2)] == [stat]


def test_a_call_that_came_to_nothing_is_made_again(ledger: Ledger) -> None:
    queue, outbox = Queue(ledger), Outbox(ledger)
    job = submitted(queue, "one")
    for rung in range(3):
        (call,) = outbox.due("routine", 1)
        assert (call.job_id, call.rung) == (job, rung)
        outbox.made((call,), 0.0)


def test_a_submission_keeps_all_that_a_worker_needs(ledger: Ledger) -> None:
    queue = Queue(ledger)
    job = submitted(queue, "one", lane="stat", priority=3)
    claim = queue.claim(job, "worker", LONG_S)
    assert claim is not None
    assert claim.order == replace(ORDER, lane="stat", priority=3)
    assert (claim.attempt, claim.analysis) == (1, "perfusion")
    assert [e.event for e in ledger.history(job)] == [Event.SUBMITTED, Event.CLAIMED]


def test_an_owner_that_is_gone_is_not_waited_for(ledger: Ledger) -> None:
    queue = Queue(ledger)
    job = submitted(queue, "one")
    assert queue.claim(job, "dead", LONG_S) is not None
    assert queue.reap(lambda owner: owner == "other") == ()
    assert queue.reap(lambda owner: owner == "dead") == (job,)
    assert queue.claim(job, "alive", LONG_S) is not None
