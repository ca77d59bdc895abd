"""Who watches a ledger learns of a job that waits, and of none that does not."""

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from pipeline.errors import LedgerUnavailable
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import Queue
from pipeline.ledger.watch import ServerWatch
from tests.ledger.test_queue import submitted

LONG_S = 30.0
NEVER = threading.Event()


def seconds_of(does: Callable[[], object]) -> float:
    began = monotonic()
    does()
    return monotonic() - began


def test_a_job_that_another_submits_ends_a_wait(place: str, ledger: Ledger) -> None:
    watch = ledger.watch()
    with Ledger.open(place) as other:
        # Whatever opening it has changed.
        watch.wait(0.1, NEVER)
        later = threading.Timer(0.2, lambda: submitted(Queue(other), "one"))
        later.start()
        assert watch.wait(LONG_S, NEVER)
        later.join()
    watch.close()


def test_a_job_that_was_submitted_between_two_waits_ends_the_next(ledger: Ledger) -> None:
    watch = ledger.watch()
    watch.wait(0.0, NEVER)
    submitted(Queue(ledger), "one")
    assert watch.wait(LONG_S, NEVER)
    watch.close()


def test_nothing_ends_no_wait(ledger: Ledger) -> None:
    watch = ledger.watch()
    while watch.wait(0.05, NEVER):
        pass
    assert seconds_of(lambda: watch.wait(0.3, NEVER)) >= 0.3
    watch.close()


def test_who_is_told_to_end_does_not_wait(ledger: Ledger) -> None:
    ending = threading.Event()
    ending.set()
    watch = ledger.watch()
    assert seconds_of(lambda: watch.wait(LONG_S, ending)) < LONG_S / 2
    watch.close()


@pytest.mark.parametrize(
    "place", [pytest.param("postgresql", marks=pytest.mark.service)], indirect=True
)
def test_a_server_that_goes_away_is_told_of(ledger: Ledger) -> None:
    watch = ledger.watch()
    assert isinstance(watch, ServerWatch)
    watch.close()
    with pytest.raises(LedgerUnavailable):
        watch.wait(LONG_S, NEVER)
