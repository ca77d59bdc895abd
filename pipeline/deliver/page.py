"""Call a person: an object of a delivery must not leave, and nobody but a person can help it."""

import logging

from pipeline.errors import PeerUnavailable
from pipeline.gateways.pager import post
from pipeline.ledger.deliveries import DeliveryClaim

LOG = logging.getLogger(__name__)


def page(claim: DeliveryClaim, url: str | None) -> None:
    """Log that a delivery is blocked, and post it where the site says.

    What is posted names the delivery, the job and the destination, and nothing of a patient.

    Parameters
    ----------
    claim
        The delivery.
    url
        Where it is posted; None posts nothing.
    """
    told: dict[str, str | int] = {
        "delivery": claim.id,
        "job_id": str(claim.job_id),
        "destination": claim.destination,
    }
    LOG.error("a delivery is blocked: see vesalius deliveries", extra={"action": "page", **told})
    if url is None:
        return
    try:
        post(url, {"what": "a delivery of Vesalius is blocked", **told})
    except PeerUnavailable:
        LOG.exception("nobody was paged", extra={"action": "page_failed", **told})
