"""Prove that what was sent is there: by the answers alone, by asking, or by storage commitment."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.config import Configuration
from pipeline.connections import Destination
from pipeline.deliver.statuses import judge_dimse
from pipeline.deliver.ways import Way
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.commitment import request_commitment
from pipeline.identity import derived_uid
from pipeline.ledger.deliveries import Deliveries, DeliveryClaim, SentObject
from pipeline.ledger.deliverytables import DeliveryState

SAME_ASSOCIATION_S = 0.5
"""How long the answer of an archive is waited for on the association of the request [s]."""

FIRST_LOOK_S = 0.5
"""Time before the second look at what is not there yet; it doubles each time [s]."""


def confirm(
    claim: DeliveryClaim,
    sent: Sequence[SentObject],
    ledger: Deliveries,
    way: Way,
    settings: Configuration,
    *,
    anew: bool,
) -> DeliveryState | None:
    """Prove a delivery whose objects were all sent, and end it or have it wait.

    Parameters
    ----------
    claim
        The attempt.
    sent
        What the destination has answered for.
    ledger
        The deliveries.
    way
        The way to the destination.
    settings
        The site's.
    anew
        Whether this attempt has sent something: then an archive is asked again.

    Returns
    -------
        Where the delivery stands; None if the attempt is not its last any more.

    Raises
    ------
    PeerUnavailable
        If the destination does not answer.
    PeerRefused
        If it will not be asked.
    """
    destination = settings.destinations[claim.destination]
    open_ones = [each for each in sent if not each.is_confirmed]
    if destination.confirm == "none" or not open_ones:
        return ledger.done(claim)
    if destination.confirm == "commitment":
        return _by_commitment(claim, open_ones, ledger, settings, anew=anew)
    missing = way.missing(open_ones, claim.folder)
    found = [replace(e, is_confirmed=True) for e in open_ones if e.relative_path not in missing]
    if not ledger.sent(claim, found):
        return None
    return (
        ledger.done(claim) if not missing else _later(claim, sorted(missing), ledger, destination)
    )


def _later(
    claim: DeliveryClaim, missing: Sequence[str], ledger: Deliveries, destination: Destination
) -> DeliveryState | None:
    """Look again later at what is not there; send it again once that has taken too long."""
    waited_s = claim.unproven_s or 0.0
    if waited_s >= destination.confirm_s:
        held = ledger.unproven(claim, missing, destination)
        return DeliveryState.WAITING if held else None
    after_s = min(FIRST_LOOK_S + waited_s, destination.confirm_s - waited_s)
    return DeliveryState.CONFIRMING if ledger.confirming(claim, after_s) else None


def _by_commitment(
    claim: DeliveryClaim,
    open_ones: Sequence[SentObject],
    ledger: Deliveries,
    settings: Configuration,
    *,
    anew: bool,
) -> DeliveryState | None:
    """Ask an archive to answer for objects, or wait for its answer."""
    destination = settings.destinations[claim.destination]
    if not anew and claim.unproven_s is not None:
        paths = [each.relative_path for each in open_ones]
        if claim.unproven_s >= destination.confirm_s:
            return DeliveryState.WAITING if ledger.unproven(claim, paths, destination) else None
        left_s = destination.confirm_s - claim.unproven_s
        return DeliveryState.CONFIRMING if ledger.confirming(claim, left_s) else None
    uid = derived_uid(claim.job_id, f"commitment/{claim.destination}/{claim.attempt}")
    # Before it is asked: the answer may come at once, by another way.
    if not ledger.asked(claim, uid):
        return None
    node = settings.nodes[str(destination.node)]
    references = [(str(each.sop_class_uid), str(each.sop_instance_uid)) for each in open_ones]
    status, answer = request_commitment(
        uid, references, node, settings, wait_s=min(SAME_ASSOCIATION_S, destination.confirm_s)
    )
    if status != 0:
        meaning = judge_dimse(status)
        kind = PeerUnavailable if meaning.verdict == "later" else PeerRefused
        raise kind(f"storage commitment was answered {status:04X} ({meaning.name})")
    if answer is not None:
        ledger.committed(uid, answer.committed, answer.failed)
    return DeliveryState.CONFIRMING if ledger.confirming(claim, destination.confirm_s) else None
