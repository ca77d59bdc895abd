"""Starts and ends of the service's processes in the audit log, with the clock that they go by."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from pipeline.errors import LedgerUnavailable
from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.transfers import SERVICE
from pipeline.ledger.wallclock import WallClock, wall_clock
from pipeline.owner import this_person

LOG = logging.getLogger(__name__)

LOOK_S = 60.0
"""Time between two looks at the clock [s]."""


@contextmanager
def presence(place: str, name: str, *, watches: bool = True) -> Iterator[None]:
    """Record that a process starts, and that it ends, and changes of its clock in between.

    Parameters
    ----------
    place
        Where the ledger is.
    name
        The process.
    watches
        Whether the clock is looked at in between: not by a process that forks, which must have no
        thread.

    Raises
    ------
    LedgerUnavailable
        If its start cannot be recorded.
    """
    ending = Event()
    clock = wall_clock()
    with Ledger.open(place) as ledger:
        record(ledger, _audited("service started", name, clock))
    watch = Thread(target=_watch, args=(place, clock, ending), name="clock", daemon=True)
    if watches:
        watch.start()
    try:
        yield
    finally:
        ending.set()
        if watches:
            watch.join(LOOK_S)
        try:
            with Ledger.open(place) as ledger:
                record(ledger, _audited("service stopped", name, wall_clock()))
        except LedgerUnavailable:
            LOG.warning("the end is not recorded: the ledger is away")


def note_clock(ledger: Ledger, before: WallClock) -> WallClock:
    """Record where the time comes from if that has changed, and return it."""
    clock = wall_clock()
    if clock.source != before.source:
        told = _audited("clock changed", None, clock, {"before": before.source})
        record(ledger, told)
    return clock


def _watch(place: str, clock: WallClock, ending: Event) -> None:
    """Look at the clock until told to end."""
    while not ending.wait(LOOK_S):
        try:
            with Ledger.open(place) as ledger:
                clock = note_clock(ledger, clock)
        except LedgerUnavailable:
            LOG.warning("the ledger is away", extra={"action": "not_audited"})


def _audited(
    action: str, name: str | None, clock: WallClock, more: dict[str, object] | None = None
) -> Audited:
    """Return an event."""
    return Audited(
        action=action,
        actor=SERVICE,
        subject="clock" if name is None else f"process {name}",
        detail={
            "by": this_person(),
            "clock": clock.source,
            "error_s": clock.error_s,
            **(more or {}),
        },
    )
