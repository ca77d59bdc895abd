"""A worklist over DIMSE: the Unified Procedure Step as its performer sees it, as SCU.

UPS Pull finds, gets, claims and changes steps; UPS Watch subscribes to them and asks for a cancel.
A performer learns of a cancel request by an N-EVENT-REPORT alone (``upsevents.py``): the standard
has a worklist keep nothing of the request that an N-GET would show. An N-GET shows a step that the
worklist itself has cancelled or removed, and progress information, which some worklists write a
reason into.

References
----------
.. [CC] DICOM PS3.4, CC.2.1 to CC.2.8; status codes of tables CC.2.1-2, CC.2.2-2, CC.2.3-2 and
   CC.2.6-1.
"""

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.association import answered, associate, place
from pipeline.gateways.worklist import (
    READ,
    Refusal,
    Step,
    StepRefused,
    Wanted,
    fits,
    matching_keys,
    step_of,
)
from pipeline.steps import StepState

CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE = 1, 2, 3, 4
"""Action types of [CC]_."""

PASSED = frozenset({0x0000, 0x0001, 0xB300, 0xB301, 0xB304, 0xB305, 0xB306})
"""Statuses of what was done, or was so before."""

PENDING = frozenset({0xFF00, 0xFF01})
"""Statuses of a response to C-FIND that holds a match."""

NOT_NOW = frozenset({0x0213, 0xA700})
"""Statuses of a worklist that cannot now."""

REFUSALS = {
    0xC300: Refusal.ENDED,
    0xC301: Refusal.NOT_OURS,
    0xC302: Refusal.TAKEN,
    0xC304: Refusal.NOT_MET,
    0xC307: Refusal.GONE,
    0x0112: Refusal.GONE,
    0xC310: Refusal.CONFLICT,
    0xC311: Refusal.CONFLICT,
}
"""Why a worklist refuses, by its status."""


class DimseWorklist:
    """A worklist over DIMSE; an association for each call."""

    def __init__(self, node: Node, settings: Configuration) -> None:
        self._node, self._settings = node, settings

    def scheduled(self, wanted: Wanted) -> tuple[Step, ...]:
        """Return steps that are SCHEDULED and whose inputs are READY (C-FIND)."""
        pull = build_context(UnifiedProcedureStepPull)
        found: list[Dataset] = []
        with associate(self._node, [pull], self._settings) as association:
            keys = matching_keys(wanted)
            for status, match in association.send_c_find(keys, UnifiedProcedureStepPull):
                code = answered(status, self._node)
                if code in PENDING and match is not None:
                    found.append(match)
                elif code not in PENDING:
                    self._check(code, "C-FIND", "")
        steps = (step_of(match) for match in found)
        return tuple(step for step in steps if fits(step, wanted))

    def retrieve(self, uid: str) -> Step:
        """Return a step (N-GET)."""
        tags = [BaseTag(tag) for keyword in READ if (tag := tag_for_keyword(keyword)) is not None]
        with associate(
            self._node, [build_context(UnifiedProcedureStepPull)], self._settings
        ) as association:
            status, found = association.send_n_get(
                tags, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepPull
            )
            self._check(answered(status, self._node), "N-GET", uid)
        return step_of(found or Dataset(), uid)

    def claim(self, uid: str, transaction_uid: str) -> None:
        """Take control of a step (N-ACTION Change UPS State)."""
        self._change(uid, transaction_uid, StepState.IN_PROGRESS)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Set attributes of a step that is claimed (N-SET)."""
        whole = Dataset()
        whole.update(changes)
        whole.TransactionUID = transaction_uid
        with associate(
            self._node, [build_context(UnifiedProcedureStepPull)], self._settings
        ) as association:
            status, _ = association.send_n_set(
                whole, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepPull
            )
            self._check(answered(status, self._node), "N-SET", uid)

    def finish(self, uid: str, transaction_uid: str, state: StepState) -> None:
        """Have a step become COMPLETED or CANCELED (N-ACTION Change UPS State)."""
        self._change(uid, transaction_uid, state)

    def subscribe(self, uid: str, ae_title: str) -> None:
        """Have what happens to a step reported (N-ACTION on UPS Watch)."""
        information = Dataset()
        information.ReceivingAE, information.DeletionLock = ae_title, "FALSE"
        self._act(information, SUBSCRIBE, uid, UnifiedProcedureStepWatch)

    def unsubscribe(self, uid: str, ae_title: str) -> None:
        """Have it reported no more (N-ACTION on UPS Watch)."""
        information = Dataset()
        information.ReceivingAE = ae_title
        self._act(information, UNSUBSCRIBE, uid, UnifiedProcedureStepWatch)

    def request_cancel(self, uid: str, reason: str) -> None:
        """Ask the performer of a step to give it up (N-ACTION on UPS Watch)."""
        information = Dataset()
        information.ReasonForCancellation = reason
        self._act(information, REQUEST_CANCEL, uid, UnifiedProcedureStepWatch)

    def _change(self, uid: str, transaction_uid: str, state: StepState) -> None:
        """Ask for a change of state."""
        information = Dataset()
        information.TransactionUID = transaction_uid
        information.ProcedureStepState = state.value
        self._act(information, CHANGE_STATE, uid, UnifiedProcedureStepPull)

    def _act(self, information: Dataset, action: int, uid: str, sop_class: str) -> None:
        """Send an N-ACTION: the instance is always one of UPS Push, the context another's [CC]_."""
        with associate(self._node, [build_context(sop_class)], self._settings) as association:
            status = _sent(association, information, action, (uid, sop_class))
            self._check(answered(status, self._node), f"N-ACTION {action}", uid)

    def _check(self, status: int, what: str, uid: str) -> None:
        """Raise what a status says, if it was not done."""
        if status in PASSED:
            return
        said = f"{place(self._node)}: {what}{' of step ' + uid if uid else ''}: status {status:04X}"
        if status in NOT_NOW:
            raise PeerUnavailable(said)
        if not uid:
            raise PeerRefused(said)
        why = REFUSALS.get(status, Refusal.OTHER)
        raise StepRefused(f"{said}: {why.value}", why)


def _sent(
    association: Association, information: Dataset, action: int, target: tuple[str, str]
) -> Dataset:
    """Send an N-ACTION, and return its status."""
    uid, sop_class = target
    status, _ = association.send_n_action(
        information, action, UnifiedProcedureStepPush, uid, meta_uid=sop_class
    )
    return status
