"""The audit log is only added to, and whoever changes it all the same is found."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from pipeline.errors import LedgerUnavailable
from pipeline.ledger.audit import (
    BEGINNING,
    Audited,
    Sought,
    entries,
    record,
    record_within,
    verify,
)
from pipeline.ledger.database import parse_url
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.wallclock import kept_by

PROMOTED = Audited(
    action="model promoted",
    actor="anna@ward",
    subject="perfusion 1.2.0",
    detail={"digest": "ab" * 32, "dice": 0.1 + 0.2, "named": "Åsa 心"},
)


def test_an_empty_log_is_whole(ledger: Ledger) -> None:
    chain = verify(ledger)
    assert (chain.events, chain.head, chain.fault) == (0, BEGINNING, None)
    assert entries(ledger) == ()


def test_events_come_back_as_they_were_recorded(ledger: Ledger) -> None:
    refused = replace(PROMOTED, actor="bert", succeeded=False, role="viewer", address="10.0.0.9")
    record(ledger, PROMOTED)
    record(ledger, refused)
    found = entries(ledger)
    assert [entry.audited for entry in found] == [PROMOTED, refused]
    assert [entry.number for entry in found] == [1, 2]
    assert found[0].clock == kept_by()
    assert verify(ledger).head == found[1].digest
    assert entries(ledger, Sought(actor="bert")) == found[1:]
    assert entries(ledger, Sought(limit=1)) == found[1:]
    assert entries(ledger, Sought(since=found[1].at)) == found[1:]
    assert entries(ledger, Sought(subject="nothing")) == ()


def test_an_event_is_recorded_with_what_it_tells_of_or_not_at_all(ledger: Ledger) -> None:
    with ledger.transaction() as session:
        record_within(session, PROMOTED)
        session.rollback()
    assert verify(ledger).events == 0


@pytest.mark.parametrize(
    "change", ["UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events"]
)
def test_the_database_refuses_to_change_an_event(change: str, ledger: Ledger) -> None:
    record(ledger, PROMOTED)
    with (
        pytest.raises(LedgerUnavailable, match="the audit log is only added to"),
        ledger.transaction() as session,
    ):
        session.execute(text(change))
    assert verify(ledger).fault is None


def test_postgresql_refuses_to_empty_the_log(postgres_place: str) -> None:
    with Ledger.open(postgres_place) as ledger:
        record(ledger, PROMOTED)
        with (
            pytest.raises(LedgerUnavailable, match="the audit log is only added to"),
            ledger.transaction() as session,
        ):
            session.execute(text("TRUNCATE audit_events"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE audit_events SET actor = 'nobody' WHERE number = 2", "event 2 was changed"),
        ("UPDATE audit_events SET detail = '{}' WHERE number = 3", "event 3 was changed"),
        ("UPDATE audit_events SET clock = 'mine' WHERE number = 1", "event 1 was changed"),
        ("DELETE FROM audit_events WHERE number = 2", "event 2 is missing"),
        ("DELETE FROM audit_events WHERE number = 1", "event 1 is missing"),
        (
            "UPDATE audit_events SET before = digest WHERE number = 3",
            "event 3 does not follow the one before it",
        ),
    ],
)
def test_what_is_changed_behind_the_database_s_back_is_found(
    change: str, fault: str, place: str
) -> None:
    with Ledger.open(place) as ledger:
        for number in range(4):
            record(ledger, replace(PROMOTED, detail={"number": number}))
        _without_guard(place, change)
        found = verify(ledger)
        assert found.fault == fault
        record(ledger, PROMOTED)
        assert verify(ledger) == found


def test_an_end_that_is_cut_off_is_found_by_the_digest_that_was_kept(place: str) -> None:
    with Ledger.open(place) as ledger:
        for _ in range(3):
            record(ledger, PROMOTED)
        kept = verify(ledger).head
        record(ledger, PROMOTED)
        assert verify(ledger, kept).fault is None
        _without_guard(place, "DELETE FROM audit_events WHERE number >= 3")
        assert verify(ledger).fault is None
        assert "was cut off" in str(verify(ledger, kept).fault)


def test_many_who_add_at_once_make_one_chain(place: str) -> None:
    def add(worker: int) -> None:
        with Ledger.open(place) as ledger:
            for number in range(10):
                record(ledger, replace(PROMOTED, actor=str(worker), detail={"number": number}))

    with Ledger.open(place) as ledger, ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
        chain = verify(ledger)
        assert (chain.events, chain.fault) == (40, None)
        for worker in range(4):
            own = entries(ledger, Sought(actor=str(worker)))
            assert [entry.audited.detail["number"] for entry in own] == list(range(10))


def _without_guard(place: str, change: str) -> None:
    """Do what somebody could who owns the database."""
    engine = create_engine(parse_url(place))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
        else:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_events_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_events_delete"))
        connection.execute(text(change))
    engine.dispose()
