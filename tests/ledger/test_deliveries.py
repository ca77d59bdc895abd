"""Deliveries go through their states as the table says, whatever is done in whatever order."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select, update

from pipeline.connections import Destination
from pipeline.ledger.breaker import Destinations, pause_s
from pipeline.ledger.deliveries import Deliveries, DeliveryClaim, SentObject
from pipeline.ledger.deliverycare import DeliveryCare, WantedDeliveries, deliveries, queued
from pipeline.ledger.deliveryrows import rank_of
from pipeline.ledger.deliverystates import ALLOWED, BEGINNING, may_become
from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState, DestinationRow
from pipeline.ledger.ledger import Ledger
from tests.support.deliveries import finish
from tests.support.jobs import artifact, job_request
from tests.support.postgres import fresh_ledger

PACS = Destination(by="folder", folder=Path("/x"), retry_s=100.0, longest_retry_s=1000.0)
MADE = (artifact("a"), artifact("b", b"other"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    place = str(tmp_path / "ledger.db")
    if request.param == "postgresql":
        place = fresh_ledger(request.getfixturevalue("postgres_server"))
    with Ledger.open(place) as opened:
        yield opened


def add(ledger: Ledger, name: str = "one", *, lane: str = "routine", priority: int = 0) -> None:
    finish(ledger, name, (Path("/out/job"), MADE), ["pacs"], (lane, priority))


def claimed(ledger: Ledger, owner: str = "me") -> DeliveryClaim:
    claim = Deliveries(ledger).claim("pacs", owner, 60.0)
    assert claim is not None
    return claim


def answered(path: str = "a", digest: str = MADE[0].sha256) -> SentObject:
    return SentObject(relative_path=path, sha256=digest, sent_sha256=digest, status="0000")


def states(ledger: Ledger) -> list[DeliveryState]:
    found = deliveries(ledger, WantedDeliveries())
    return [line.state for line in sorted(found, key=lambda line: line.id)]


def open_breaker(ledger: Ledger, *, passed: bool) -> None:
    """Have the pause of the breaker end, or not."""
    with ledger.transaction() as session:
        session.execute(update(DestinationRow).values(closed_until=0.0 if passed else 1e12))


def test_every_state_is_in_the_table_and_every_ended_one_can_be_tried_again() -> None:
    assert set(ALLOWED) == set(DeliveryState)
    assert {s for s in DeliveryState if may_become(None, s)} == BEGINNING
    for state in set(DeliveryState) - {DeliveryState.WAITING}:
        assert may_become(state, DeliveryState.WAITING)


def test_stat_goes_before_routine_before_batch_and_then_by_priority() -> None:
    order = [("stat", -9), ("routine", 7), ("routine", 0), ("batch", 10**9), ("batch", -1)]
    ranks = [rank_of(*each) for each in order]
    assert ranks == sorted(set(ranks))


def test_adding_twice_is_one_and_a_result_made_anew_goes_again(ledger: Ledger) -> None:
    add(ledger)
    add(ledger)
    assert states(ledger) == [DeliveryState.WAITING]
    claim = claimed(ledger)
    assert Deliveries(ledger).sent(claim, [answered(), answered("b", MADE[1].sha256)])
    assert Deliveries(ledger).done(claim) is DeliveryState.DONE
    changed = (MADE[0], artifact("b", b"changed"))
    finish(ledger, "one", (Path("/out/job"), changed), ["pacs"])
    again = claimed(ledger)
    assert [each.relative_path for each in again.sent] == ["a"]


def test_a_result_that_changes_while_it_is_sent_is_sent_again(ledger: Ledger) -> None:
    add(ledger)
    claim = claimed(ledger)
    finish(ledger, "one", (Path("/out/job"), (artifact("a", b"new"),)), ["pacs"])
    assert Deliveries(ledger).done(claim) is DeliveryState.WAITING


def test_nobody_but_the_last_claim_changes_anything(ledger: Ledger) -> None:
    add(ledger)
    first, queue = claimed(ledger, "dead"), Deliveries(ledger)
    assert queue.claim("pacs", "other", 60.0) is None
    assert queue.reap(lambda owner: owner == "dead") == (first.id,)
    second = claimed(ledger)
    assert not queue.renew(first, 60.0)
    assert not queue.sent(first, [answered()])
    assert queue.done(first) is None
    assert not queue.repeat(first, ("E", "r"), PACS, ours=False)
    assert not queue.refused(first, ("E", "r"))
    assert queue.renew(second, 60.0)
    DeliveryCare(ledger).hold(second.id)
    assert not queue.renew(second, 60.0)
    assert states(ledger) == [DeliveryState.HELD]
    assert DeliveryCare(ledger).release(second.id) is DeliveryState.WAITING


def test_what_fails_waits_for_longer_each_time_and_the_breaker_closes(ledger: Ledger) -> None:
    assert [pause_s(n, PACS) for n in (1, 2, 3, 4, 5, 99)] == [100, 200, 400, 800, 1000, 1000]
    for name in ("one", "two", "three", "four"):
        add(ledger, name)
    queue = Deliveries(ledger)
    for _ in range(3):
        assert queue.repeat(claimed(ledger), ("PeerUnavailable", "down"), PACS, ours=False)
    assert queue.claim("pacs", "me", 60.0) is None
    (door,) = Destinations(ledger).all()
    assert door.failures == 3
    assert 90 < (door.closed_s or 0) <= 150
    open_breaker(ledger, passed=True)
    trial = claimed(ledger)
    assert trial.is_trial
    assert queue.claim("pacs", "me", 60.0) is None
    assert queue.hand_back(trial, PACS)
    assert queue.claim("pacs", "me", 60.0) is None
    assert 180 < (Destinations(ledger).all()[0].closed_s or 0) <= 300
    open_breaker(ledger, passed=True)
    trial = claimed(ledger)
    assert queue.sent(trial, [answered()])
    assert Destinations(ledger).all()[0].closed_s is None
    # All that failed is due at once, the first in order first.
    assert [claimed(ledger).id for _ in range(3)] == [1, 2, 3]


def test_what_fails_here_is_not_the_destinations_fault(ledger: Ledger) -> None:
    add(ledger)
    assert Deliveries(ledger).repeat(claimed(ledger), ("OSError", "disk"), PACS, ours=True)
    assert Destinations(ledger).all() == ()


def test_a_refusal_of_everything_holds_the_destination(ledger: Ledger) -> None:
    add(ledger)
    assert Deliveries(ledger).barred(claimed(ledger), "answered 401")
    assert Deliveries(ledger).claim("pacs", "me", 60.0) is None
    Destinations(ledger).release("pacs")
    claimed(ledger)


def test_a_destination_that_is_not_known_holds_its_delivery(ledger: Ledger) -> None:
    finish(ledger, "one", (Path("/out"), MADE), [])
    with ledger.transaction() as session:
        job_id = job_request("one").identity.job_id
        Deliveries(ledger).add_within(session, job_id, ["x"], kept={"x": "no destination x"})
    (line,) = deliveries(ledger, WantedDeliveries())
    assert (line.state, line.reason) == (DeliveryState.HELD, "no destination x")


def test_a_commitment_is_recorded_whenever_it_comes(ledger: Ledger) -> None:
    add(ledger)
    queue, claim = Deliveries(ledger), claimed(ledger)
    sent = [
        SentObject(
            relative_path=each.relative_path,
            sha256=each.sha256,
            sent_sha256=each.sha256,
            status="0000",
            sop_instance_uid=uid,
        )
        for each, uid in zip(MADE, ("2.25.1", "2.25.2"), strict=True)
    ]
    assert queue.sent(claim, sent)
    assert queue.asked(claim, "2.25.9")
    assert queue.committed("2.25.9", ["2.25.1"], {"2.25.2": 0x0112})
    assert not queue.committed("2.25.8", ["2.25.1"], {})
    assert queue.confirming(claim, 600.0)
    with ledger.transaction() as session:
        row = session.scalars(select(DeliveryRow)).one()
        row.not_before = None
    again = claimed(ledger)
    assert [(each.relative_path, each.is_confirmed) for each in again.sent] == [("a", True)]


def test_the_queue_is_counted(ledger: Ledger) -> None:
    add(ledger)
    (found,) = queued(ledger)
    assert (found.destination, found.state, found.count) == ("pacs", DeliveryState.WAITING, 1)


class DeliveryLife(RuleBasedStateMachine):
    """The ledger against the table: only the last claim ends a delivery, and only as allowed."""

    @initialize()
    def open(self) -> None:
        self.place = TemporaryDirectory()
        self.ledger = Ledger.open(str(Path(self.place.name, "ledger.db")))
        self.queue, self.care = Deliveries(self.ledger), DeliveryCare(self.ledger)
        add(self.ledger)
        self.state = DeliveryState.WAITING
        self.claims: list[DeliveryClaim] = []

    def changed(self, then: DeliveryState) -> None:
        assert then is self.state or may_become(self.state, then)
        self.state = then

    @rule()
    def claim(self) -> None:
        with self.ledger.transaction() as session:
            session.execute(update(DeliveryRow).values(not_before=None))
            session.execute(update(DestinationRow).values(closed_until=None))
        claim = self.queue.claim("pacs", "me", 60.0)
        due = self.state in (DeliveryState.WAITING, DeliveryState.CONFIRMING)
        assert (claim is not None) == due
        if claim is not None:
            self.claims.append(claim)
            self.changed(DeliveryState.SENDING)

    @rule(
        how=st.sampled_from(
            ["done", "confirming", "repeat", "refused", "blocked", "hand_back", "unproven"]
        ),
        back=st.integers(0, 2),
    )
    def end(self, how: str, back: int) -> None:
        if len(self.claims) <= back:
            return
        claim = self.claims[-1 - back]
        holds = back == 0 and self.state is DeliveryState.SENDING
        queue, failure = self.queue, ("E", "r")
        ended = {
            "done": lambda: queue.done(claim) is not None,
            "confirming": lambda: queue.confirming(claim, 5.0),
            "repeat": lambda: queue.repeat(claim, failure, PACS, ours=False),
            "refused": lambda: queue.refused(claim, failure),
            "blocked": lambda: queue.blocked(claim, failure),
            "hand_back": lambda: queue.hand_back(claim),
            "unproven": lambda: queue.unproven(claim, ["a"], PACS),
        }[how]()
        assert ended == holds
        if holds:
            self.changed(states(self.ledger)[0])

    @rule(what=st.sampled_from(["retry", "hold", "release", "cancel"]))
    def look_after(self, what: str) -> None:
        self.changed(getattr(self.care, what)(1))

    @rule()
    def reap(self) -> None:
        reaped = self.queue.reap(lambda _: True)
        assert bool(reaped) == (self.state is DeliveryState.SENDING)
        if reaped:
            self.changed(DeliveryState.WAITING)

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "ledger"):
            assert states(self.ledger) == [self.state]

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.place.cleanup()


TestDeliveryLife = DeliveryLife.TestCase
TestDeliveryLife.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, derandomize=True
)
