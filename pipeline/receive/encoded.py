"""An instance that comes in a body of HTTP, or from an archive, as what is offered to an inbox.

What it is, its data set says: the meta information of files that were de-identified often has other
UIDs.
"""

from collections.abc import Iterator
from itertools import chain

from pipeline.gateways.multipart import Encoded
from pipeline.receive.glance import Look
from pipeline.receive.inbox import Offer


def offered(
    encoded: Encoded, sender: str, study_instance_uid: str | None = None
) -> tuple[Offer, Iterator[bytes]]:
    """Return what an instance says of itself, and its whole data set.

    Parameters
    ----------
    encoded
        The instance; its chunks are read from now on by what is returned.
    sender
        Who sends it.
    study_instance_uid
        The study that it is said to be of.

    Raises
    ------
    UnreadableFile
        If it is no data set, or lacks a UID.
    """
    look, beginning = Look(encoded.transfer_syntax_uid), []
    for chunk in encoded.chunks:
        beginning.append(chunk)
        look.take(chunk)
        if look.is_over:
            break
    identity = look.end()
    offer = Offer(
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=encoded.transfer_syntax_uid,
        sender=sender,
        study_instance_uid=study_instance_uid,
    )
    return offer, chain(beginning, encoded.chunks)
