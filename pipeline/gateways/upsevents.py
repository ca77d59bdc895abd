"""What worklists report of steps: N-EVENT-REPORT of UPS Event, taken by whoever listens for DIMSE.

The worklist opens the association and is the SCP of it, so whoever is called takes the role of the
SCU (PS3.4, CC.2.4; PS3.7, D.3.3.4): ``entity.add_supported_context(UnifiedProcedureStepEvent,
scu_role=False, scp_role=True)``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepEvent  # type: ignore[attr-defined]

from pipeline.errors import LedgerUnavailable
from pipeline.gateways.worklist import text
from pipeline.quiet import quietly
from pipeline.steps import StepState

STATE_REPORT, CANCEL_REQUESTED = 1, 2
"""Event types of PS3.4, table CC.2.4-1, that decide something here."""

PROCESSING_FAILURE = 0x0110
"""Status of PS3.7, C.5.3: the worklist may report again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepEvent:
    """Something that a worklist reports of a step."""

    sop_instance_uid: str
    """The step."""

    asks_to_cancel: bool
    """Whether somebody asks for it to be given up, or the worklist itself has given it up."""


def add_step_events(entity: AE) -> None:
    """Have an application entity take reports of worklists."""
    entity.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)


def is_step_event(event: evt.Event) -> bool:
    """Tell whether an N-EVENT-REPORT is one of a step.

    pynetdicom calls one handler for the reports of all classes.
    """
    return bool(event.context.abstract_syntax == UnifiedProcedureStepEvent)


def step_event_handler(
    take: Callable[[StepEvent], None],
) -> tuple[evt.EventType, Callable[[evt.Event], tuple[int, Dataset | None]]]:
    """Return what answers reports of steps, for the handlers of an application entity.

    Parameters
    ----------
    take
        Keeps the event before it is answered. It may raise ``LedgerUnavailable``: the report is
        then answered as failed.
    """

    def answer(event: evt.Event) -> tuple[int, Dataset | None]:
        uid = str(cast("Any", event.request).AffectedSOPInstanceUID)
        with quietly():
            state = text(event.event_information, "ProcedureStepState")
        asks = event.event_type == CANCEL_REQUESTED or (
            event.event_type == STATE_REPORT and state == StepState.CANCELED
        )
        try:
            take(StepEvent(sop_instance_uid=uid, asks_to_cancel=asks))
        except LedgerUnavailable:
            return PROCESSING_FAILURE, None
        return 0x0000, None

    return evt.EVT_N_EVENT_REPORT, answer
