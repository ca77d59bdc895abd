"""Callers that are turned away, in the audit log: one event an address and minute, not a call."""

import logging
import threading
from collections import OrderedDict
from time import monotonic

from pipeline.errors import LedgerUnavailable
from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)

PAUSE_S = 60.0
"""Time in which further calls from an address are not recorded [s]."""

MOST = 1000
"""Addresses that are remembered."""


class Refusals:
    """Records callers that are turned away. It may be used from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._until: OrderedDict[str, float] = OrderedDict()

    def note(self, address: str) -> None:
        """Record a caller, unless one from there was recorded just now.

        What the caller says of itself is not kept: nobody vouches for it.
        """
        at = monotonic()
        with self._lock:
            if self._until.get(address, at) > at:
                return
            self._until[address] = at + PAUSE_S
            self._until.move_to_end(address)
            while len(self._until) > MOST:
                self._until.popitem(last=False)
        audited = Audited(
            action="caller refused",
            actor="unknown caller",
            subject="process receiver",
            address=address[:64],
            succeeded=False,
        )
        try:
            record(self._ledger, audited)
        except LedgerUnavailable:
            LOG.warning("the ledger is away", extra={"action": "not_audited"})
