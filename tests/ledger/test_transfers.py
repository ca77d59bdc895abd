"""Transfers, callers, processes and clocks leave events: few of them, and what they tell of."""

from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from pipeline.connections import ReceiveSettings
from pipeline.ledger.arrivals import Arrivals
from pipeline.ledger.audit import Audited, entries, verify
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.transfers import note_received
from pipeline.ledger.wallclock import WallClock, kept_by, wall_clock
from pipeline.owner import this_person
from pipeline.receive.inbox import Inbox
from pipeline.receive.refusals import Refusals
from tests.support.encoded import instance
from tests.support.inboxes import received
from tests.support.jobs import artifact, job_request
from workers import presence as module
from workers.presence import note_clock, presence


def told(ledger: Ledger) -> list[Audited]:
    return [entry.audited for entry in entries(ledger)]


def test_a_study_of_many_instances_is_one_event(ledger: Ledger, tmp_path: Path) -> None:
    inbox = Inbox.open(tmp_path / "inbox", ledger, ReceiveSettings(free_mib=0))
    for number in range(1, 101):
        received(inbox, instance(number), number)
    arrivals = Arrivals(ledger)
    (seen,) = arrivals.listed()
    with ledger.transaction() as session:
        assert arrivals.take(session, seen, "whole")
        note_received(session, seen.arrival_id)
    (event,) = told(ledger)
    assert event.action == "instances received"
    assert event.subject == f"study {seen.study_instance_uid}"
    assert event.detail == {"instances": 100, "senders": ["c-store TEST"], "revision": 1}
    assert event.actor == "c-store TEST"
    # Another data set under a UID that is known is a matter of security.
    received(inbox, instance(1, pixels=bytes(8)), 1)
    with ledger.transaction() as session:
        note_received(session, seen.arrival_id)
    assert [(e.action, e.succeeded) for e in told(ledger)[1:]] == [
        ("instances received", True),
        ("data sets set aside", False),
    ]


def test_a_delivery_that_ends_is_one_event(ledger: Ledger) -> None:
    deliveries, request = Deliveries(ledger), job_request()
    attempt = ledger.begin(request)
    job_id = request.identity.job_id
    ledger.complete(job_id, attempt, folder=Path("/x"), artifacts=[artifact("a.dcm")], outcome={})
    with ledger.transaction() as session:
        deliveries.add_within(session, job_id, ["pacs", "share"])
    for name in ("pacs", "share"):
        claim = deliveries.claim(name, "test", 60.0)
        assert claim is not None
        if name == "pacs":
            deliveries.done(claim)
        else:
            deliveries.refused(claim, ("PeerRefused", "status A900"))
    sent, refused = told(ledger)
    assert (sent.action, sent.subject, sent.succeeded) == ("instances sent", "study 2.25.1", True)
    assert sent.detail == {"destination": "pacs", "objects": 0, "job": str(job_id)}
    assert (refused.succeeded, refused.detail["failure"]) == (False, "PeerRefused")
    assert verify(ledger).fault is None


def test_a_flood_of_callers_is_one_event_an_address(ledger: Ledger) -> None:
    refusals = Refusals(ledger)
    callers = [
        Thread(target=lambda: [refusals.note(a) for a in ("10.0.0.1", "10.0.0.2") * 20])
        for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(str(event.address) for event in told(ledger)) == ["10.0.0.1", "10.0.0.2"]
    assert {event.action for event in told(ledger)} == {"caller refused"}


def test_a_process_leaves_its_start_its_end_and_its_clock(place: str, ledger: Ledger) -> None:
    with presence(place, "receiver"):
        pass
    started, stopped = told(ledger)
    assert (started.action, stopped.action) == ("service started", "service stopped")
    assert started.subject == "process receiver"
    assert started.detail["clock"] == wall_clock().source


def test_a_clock_that_changes_is_recorded_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = WallClock(state="synchronised", error_s=0.001, zone="UTC")
    loose = replace(before, state="unsynchronised", error_s=16.0)
    monkeypatch.setattr(module, "wall_clock", lambda: loose)
    after = note_clock(ledger, before)
    assert note_clock(ledger, after) == loose
    (event,) = told(ledger)
    assert event.actor == "vesalius"
    assert event.detail == {
        "by": this_person(),
        "clock": "unsynchronised, zone UTC",
        "error_s": 16.0,
        "before": "synchronised, zone UTC",
    }


def test_the_clock_says_what_the_kernel_says() -> None:
    clock = wall_clock()
    assert clock.state in ("synchronised", "unsynchronised", "unknown")
    assert (clock.error_s is None) == (clock.state == "unknown")
    assert kept_by().endswith(clock.state)
