"""Cancel requests that worklists report, recorded for the next round of whoever performs the step.

The receiver takes them: ``add_step_events(entity)`` of the gateway, and this handler beside its
own.
"""

import logging
from collections.abc import Callable
from typing import Any

from pipeline.gateways.upsevents import StepEvent, step_event_handler
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.workitems import Workitems

LOG = logging.getLogger(__name__)


def step_events(ledger: Ledger) -> tuple[Any, Callable[..., Any]]:
    """Return what takes reports of steps, for the handlers of an application entity.

    A report of a step that is none of this installation's is answered, and changes nothing.
    """
    workitems = Workitems(ledger)

    def take(event: StepEvent) -> None:
        if not event.asks_to_cancel:
            return
        if workitems.request_cancel(event.sop_instance_uid) is not None:
            LOG.info(
                "step %s: a cancel is asked for",
                event.sop_instance_uid,
                extra={"action": "step", "sop_instance_uid": event.sop_instance_uid},
            )

    return step_event_handler(take)
