"""The deliverer: sends results to their destinations, straight from the ledger.

A thread serves each connection of each destination, so that one that hangs or fails keeps no other
waiting. Any number of deliverers may run: the ledger hands each delivery to one of them.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from pipeline.config import Configuration
from pipeline.deliver.page import page
from pipeline.deliver.send import Courier, attempt
from pipeline.errors import LedgerUnavailable
from pipeline.ledger.deliveries import Deliveries, DeliveryClaim
from pipeline.ledger.deliverytables import DeliveryState
from pipeline.ledger.ledger import Ledger
from pipeline.owner import is_gone, this_process
from workers.ending import told_to_end
from workers.presence import presence

LOG = logging.getLogger(__name__)

PAUSE_S = 0.5
"""Time between two looks into the ledger when nothing was due [s]."""

AWAY_S = 1.0
"""Time before a ledger that is away is tried again, and between two looks of the reaper [s]."""

STOP_S = 45.0
"""Time that objects in flight have when the process is told to end [s]."""


class Deliverer:
    """Sends what waits in one ledger, for all destinations of one site."""

    def __init__(self, ledger: Ledger, settings: Configuration, lease_s: float) -> None:
        self._deliveries, self._settings, self._lease_s = Deliveries(ledger), settings, lease_s
        self._owner = this_process()
        self._running: dict[DeliveryClaim, threading.Event] = {}
        self._lock = threading.Lock()

    def run(self, ending: threading.Event) -> None:
        """Deliver until told to end; what is in flight then has ``STOP_S``."""
        threads = [
            threading.Thread(
                target=self._serve, args=(name, ending), name=f"deliver {name}", daemon=True
            )
            for name, destination in self._settings.destinations.items()
            for _ in range(destination.connections)
        ]
        for thread in threads:
            thread.start()
        until: float | None = None
        while any(thread.is_alive() for thread in threads):
            if ending.is_set() and until is None:
                until = monotonic() + STOP_S
            if until is not None and monotonic() > until:
                LOG.warning("deliveries are left in flight", extra={"action": "deliverer_ended"})
                return
            self._patiently(self._keep)
            if ending.is_set():
                threads[0].join(0.05)
            else:
                ending.wait(min(AWAY_S, self._lease_s / 3))

    def once(self, name: str, ending: threading.Event) -> bool:
        """Make one attempt at a destination; False if nothing was due.

        Raises
        ------
        LedgerUnavailable
            If the ledger is away.
        """
        claim = self._deliveries.claim(name, self._owner, self._lease_s)
        if claim is None:
            return False
        lost = threading.Event()
        with self._lock:
            self._running[claim] = lost
        try:
            courier = Courier(
                ledger=self._deliveries,
                settings=self._settings,
                is_to_end=lambda: lost.is_set() or ending.is_set(),
            )
            self._tell(claim, self._attempted(claim, courier))
        finally:
            with self._lock:
                del self._running[claim]
        return True

    def _attempted(self, claim: DeliveryClaim, courier: Courier) -> DeliveryState | None:
        """Make an attempt; what nobody foresaw ends it, and not the thread."""
        try:
            return attempt(claim, courier)
        except LedgerUnavailable:
            raise
        except Exception as problem:
            LOG.exception("a delivery ended unexpectedly", extra=_named(claim, "delivery_failed"))
            failure = (type(problem).__name__, "unexpected; its place in the code is in the log")
            settings = self._settings.destinations[claim.destination]
            held = self._deliveries.repeat(claim, failure, settings, ours=True)
            return DeliveryState.WAITING if held else None

    def _serve(self, name: str, ending: threading.Event) -> None:
        """Serve a connection of a destination until told to end."""

        def serve() -> None:
            if not self.once(name, ending):
                ending.wait(PAUSE_S)

        while not ending.is_set():
            if not self._patiently(serve):
                ending.wait(AWAY_S)

    def _patiently(self, do: Callable[[], object]) -> bool:
        """Do something with the ledger; False if it is away."""
        try:
            do()
        except LedgerUnavailable:
            LOG.warning("the ledger is away", extra={"action": "deliverer_waits"})
            return False
        return True

    def _keep(self) -> None:
        """Keep the leases of what runs, and hand out what others have left."""
        with self._lock:
            running = dict(self._running)
        for claim, lost in running.items():
            if not self._deliveries.renew(claim, self._lease_s):
                lost.set()
        for delivery in self._deliveries.reap(is_gone):
            LOG.warning(
                "a delivery's process is gone",
                extra={"action": "delivery_abandoned", "delivery": delivery},
            )

    def _tell(self, claim: DeliveryClaim, state: DeliveryState | None) -> None:
        """Log how an attempt ended, and call a person where one is needed."""
        if state is DeliveryState.BLOCKED:
            page(claim, self._settings.monitoring.page_url)
        elif state is DeliveryState.REFUSED:
            LOG.error("a delivery was refused", extra=_named(claim, "delivery_refused"))
        elif state is not None:
            extra = _named(claim, "delivery_attempted") | {"state": state.value}
            LOG.info("a delivery was attempted", extra=extra)


def run_deliverer(settings: Configuration, place: str) -> None:
    """Deliver until told to end by SIGTERM or SIGINT."""
    ending = told_to_end()
    with presence(place, "deliverer"), Ledger.open(place) as ledger:
        Deliverer(ledger, settings, settings.service.lease_s).run(ending)


def _named(claim: DeliveryClaim, action: str) -> dict[str, object]:
    """Return what a line of the log says of a delivery."""
    return {
        "action": action,
        "delivery": claim.id,
        "destination": claim.destination,
        "job_id": str(claim.job_id),
        "attempt": claim.attempt,
    }
