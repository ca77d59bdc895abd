"""Ask a node whether it answers for objects: storage commitment, push model (PS3.4, J).

The answer is an event. It comes on the same association while that is open, or later on one that
the node opens to this installation's receiver, and is read by the same function.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.gateways.association import answered, associate

REQUEST = 1
"""Action Type ID: Request Storage Commitment (PS3.4, J.3.2)."""

PROCESSING_FAILURE = 0x0110
"""What an event is answered with that cannot be read (PS3.7, C.5.21)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What a node answers for."""

    transaction_uid: str
    """Transaction UID (0008,1195) of the request."""

    committed: tuple[str, ...]
    """SOP Instance UIDs that it has taken over."""

    failed: Mapping[str, int]
    """Failure Reason (0008,1197) by SOP Instance UID."""


def request_commitment(
    transaction_uid: str,
    references: Sequence[tuple[str, str]],
    node: Node,
    settings: Configuration,
    *,
    wait_s: float = 0.0,
) -> tuple[int, Committed | None]:
    """Ask a node whether it answers for objects.

    Parameters
    ----------
    transaction_uid
        Names the request; the answer carries it.
    references
        SOP Class UID and SOP Instance UID of each object.
    node
        The node.
    settings
        The site's.
    wait_s
        How long the answer is waited for on this association [s].

    Returns
    -------
        The status of the request; and the answer, if it came by then.

    Raises
    ------
    PeerUnavailable
        If the node cannot be reached or ends the association.
    PeerRefused
        If it refuses the association, or knows no storage commitment.
    """
    found: list[Committed] = []
    came = threading.Event()

    def hear(event: evt.Event) -> tuple[int, None]:
        try:
            found.append(read_commitment(event.event_information))
        except (AttributeError, ValueError, TypeError):
            return PROCESSING_FAILURE, None
        came.set()
        return 0, None

    handlers = [(evt.EVT_N_EVENT_REPORT, hear)]
    with associate(
        node, [build_context(StorageCommitmentPushModel)], settings, handlers=handlers
    ) as association:
        status, _ = association.send_n_action(
            _asked(transaction_uid, references),
            REQUEST,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        number = answered(status, node)
        if number == 0 and wait_s > 0:
            came.wait(wait_s)
    return number, next((each for each in found if each.transaction_uid == transaction_uid), None)


def read_commitment(event_information: Dataset) -> Committed:
    """Return what an N-EVENT-REPORT of storage commitment says (PS3.4, J.3.3).

    Raises
    ------
    AttributeError
        If an attribute is missing.
    ValueError
        If one has no possible value.
    """
    return Committed(
        transaction_uid=str(event_information.TransactionUID),
        committed=tuple(
            str(item.ReferencedSOPInstanceUID)
            for item in event_information.get("ReferencedSOPSequence", None) or ()
        ),
        failed={
            str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", PROCESSING_FAILURE))
            for item in event_information.get("FailedSOPSequence", None) or ()
        },
    )


def _asked(transaction_uid: str, references: Sequence[tuple[str, str]]) -> Dataset:
    """Return the action information of a request."""
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        asked.ReferencedSOPSequence.append(item)
    return asked
