"""What other systems report by N-EVENT-REPORT: commitments, and events of procedure steps."""

import logging

from pydicom.dataset import Dataset
from pynetdicom import evt

from pipeline.errors import LedgerUnavailable
from pipeline.gateways.commitment import PROCESSING_FAILURE, read_commitment
from pipeline.gateways.upsevents import is_step_event
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.ledger import Ledger
from pipeline.quiet import quietly
from pipeline.receive.server import Handler
from pipeline.worklist.events import step_events

LOG = logging.getLogger(__name__)

SUCCESS, NO_SUCH_TRANSACTION = 0x0000, 0x0112
"""Statuses of N-EVENT-REPORT: PS3.7, C.4 and C.5.13, no such SOP instance."""


def report_handler(ledger: Ledger) -> Handler:
    """Return what is done with an N-EVENT-REPORT: it is recorded, and then answered."""
    deliveries = Deliveries(ledger)
    _, take_step = step_events(ledger)

    def reported(event: evt.Event) -> tuple[int, Dataset | None]:
        if is_step_event(event):
            status, told = take_step(event)
            return int(status), told
        try:
            with quietly():
                found = read_commitment(event.event_information)
            is_known = deliveries.committed(found.transaction_uid, found.committed, found.failed)
        except (AttributeError, ValueError, TypeError, LedgerUnavailable):
            return PROCESSING_FAILURE, None
        LOG.info(
            "storage commitment: %d objects, and %d not",
            len(found.committed),
            len(found.failed),
            extra={"action": "commitment_reported"},
        )
        return (SUCCESS if is_known else NO_SUCH_TRANSACTION), None

    return evt.EVT_N_EVENT_REPORT, reported
