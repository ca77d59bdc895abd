"""The dispatcher: calls workers for jobs that wait, and hands out jobs whose worker is gone.

Any number of dispatchers may run: what one does twice, or two at once, changes nothing.
"""

import logging
import threading
from time import monotonic

from celery import Celery
from kombu.exceptions import OperationalError

from pipeline.config import Configuration
from pipeline.errors import LedgerUnavailable
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.outbox import Call, Outbox
from pipeline.ledger.queue import Queue
from pipeline.ledger.watch import Watch
from pipeline.owner import is_gone
from pipeline.servicesettings import LANES, ServiceSettings
from workers.app import TASK, make_app, queue_name
from workers.ending import told_to_end

LOG = logging.getLogger(__name__)

PAUSE_S = 0.25
"""Longest time between two looks into the outbox: for what is due by the clock, and for what the
ledger did not tell of [s]."""

REST = 9.0
"""Time between two looks, in units of what the first took: a ledger that changes all the time
keeps a dispatcher busy for a tenth of a core at most."""

REAP_EVERY_S = 1.0
"""Time between two looks for jobs whose worker is gone [s]."""

AWAY_S = 1.0
"""Time before a ledger or a broker that is away is tried again [s]."""


class Dispatcher:
    """Calls workers and reaps leases, over one ledger and one broker."""

    def __init__(self, app: Celery, ledger: Ledger, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings
        self._outbox, self._queue = Outbox(ledger), Queue(ledger)
        self._ledger = ledger
        self._watch: Watch | None = None
        self._reap_at = monotonic()

    def run(self, ending: threading.Event) -> None:
        """Dispatch until told to end; a ledger or a broker that is away is waited for."""
        try:
            while not ending.is_set():
                try:
                    self._look(ending)
                except (LedgerUnavailable, OperationalError, OSError) as problem:
                    LOG.warning("%s is away", _named(problem), extra={"action": "dispatcher_waits"})
                    self._forget_watch()
                    ending.wait(AWAY_S)
        finally:
            self._forget_watch()

    def _look(self, ending: threading.Event) -> None:
        """Look once; wait for the next time if there was nothing to do."""
        if self._watch is None:
            # Before the look: what is submitted from here on is told of.
            self._watch = self._ledger.watch()
        began = monotonic()
        if not self.once():
            rest_s = min(REST * (monotonic() - began), PAUSE_S)
            ending.wait(rest_s)
            self._watch.wait(PAUSE_S - rest_s, ending)

    def _forget_watch(self) -> None:
        """Close the watch: it may have lost its connection."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def once(self) -> int:
        """Reap what is due, call what is due, and return how many calls were made.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        OperationalError
            If the broker is.
        """
        if monotonic() >= self._reap_at:
            for job_id in self._queue.reap(is_gone):
                LOG.warning(
                    "job %s: its worker is gone",
                    job_id,
                    extra={"action": "job_abandoned", "job_id": str(job_id)},
                )
            self._reap_at = monotonic() + REAP_EVERY_S
        # Nearly always nothing is due: one question then, and not two for each lane.
        if not self._outbox.is_any_due():
            return 0
        return sum(self._call(lane) for lane in LANES)

    def _call(self, lane: str) -> int:
        """Make the calls of a lane that are due; return how many."""
        calls = self._outbox.due(lane, self._settings.window)
        if calls:
            made: list[Call] = []
            try:
                with self._app.producer_pool.acquire(block=True) as producer:
                    for call in calls:
                        self._app.send_task(
                            TASK,
                            args=[str(call.job_id)],
                            queue=queue_name(lane),
                            producer=producer,
                            retry=False,
                        )
                        made.append(call)
            finally:
                # After they were made: a call that is not recorded is made again.
                self._outbox.made(tuple(made), self._settings.call_again_s)
        return len(calls)


def run_dispatcher(configuration: Configuration, place: str) -> None:
    """Dispatch until told to end by SIGTERM or SIGINT."""
    ending = told_to_end()
    with Ledger.open(place) as ledger:
        Dispatcher(make_app(configuration), ledger, configuration.service).run(ending)


def _named(problem: Exception) -> str:
    """Return what is away."""
    return "the ledger" if isinstance(problem, LedgerUnavailable) else "the broker"
