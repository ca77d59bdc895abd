"""What a sender of a C-STORE is answered, and why.

References
----------
.. [B23] DICOM PS3.4, Table B.2-1 C-STORE response status values.
.. [C5] DICOM PS3.7, C.5 Error status class.
"""

import logging
from dataclasses import dataclass

from pipeline.errors import LedgerUnavailable, UnreadableFile
from pipeline.ledger.reception import Standing
from pipeline.receive.inbox import Inbox, Incoming, NoSpace, Offer, OtherInstance

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and why."""

    status: int
    """Status (0000,0900) [B23]_."""

    comment: str | None = None
    """Error Comment (0000,0902)."""


STORED = Answer(0x0000)
OUT_OF_RESOURCES = 0xA700
"""The sender is to keep the instance, and may send it again."""

MISMATCH = 0xA900
"""The data set is not what was announced."""

NOT_UNDERSTOOD = 0xC000
"""The data set cannot be kept as an instance, however often it is sent."""

DUPLICATE = 0x0111
"""Another data set was received before under the UID [C5]_; this one is kept apart."""


class Storing:
    """A C-STORE, from its announcement to its answer; nothing that goes wrong in it is raised.

    Parameters
    ----------
    inbox
        Keeps the instance.
    offer
        What the sender announces.
    """

    def __init__(self, inbox: Inbox, offer: Offer) -> None:
        self._incoming: Incoming | None = None
        self._refusal: Answer | None = None
        try:
            self._incoming = inbox.receive(offer)
        except UnreadableFile as problem:
            self._refuse(NOT_UNDERSTOOD, problem)
        except NoSpace as problem:
            self._refuse(OUT_OF_RESOURCES, problem)

    def write(self, part: memoryview | bytes) -> None:
        """Write the next part of the data set; of one that is refused, nothing."""
        if self._incoming is None:
            return
        try:
            self._incoming.write(part)
        except OtherInstance as problem:
            self._refuse(MISMATCH, problem)
        except UnreadableFile as problem:
            self._refuse(NOT_UNDERSTOOD, problem)
        except OSError as problem:
            self._refuse(OUT_OF_RESOURCES, NoSpace(f"cannot be written ({problem.strerror})"))

    def answer(self) -> Answer:
        """Keep the data set, which is whole now, and return the answer."""
        if self._incoming is not None:
            try:
                kept = self._incoming.keep()
                if kept.standing is Standing.OTHER:
                    self._refuse(DUPLICATE, OtherInstance("another data set has this UID"))
            except OtherInstance as problem:
                self._refuse(MISMATCH, problem)
            except UnreadableFile as problem:
                self._refuse(NOT_UNDERSTOOD, problem)
            except (NoSpace, LedgerUnavailable) as problem:
                self._refuse(OUT_OF_RESOURCES, problem)
        return self._refusal or STORED

    def give_up(self) -> None:
        """Forget a data set that did not come whole; may be called again."""
        if self._incoming is not None:
            self._incoming.discard()

    def _refuse(self, status: int, problem: Exception) -> None:
        """Refuse the data set, and say so in the log."""
        self.give_up()
        self._incoming = None
        comment = "the ledger is away" if isinstance(problem, LedgerUnavailable) else str(problem)
        self._refusal = Answer(status, comment)
        LOG.warning(
            "instance refused with %04X: %s",
            status,
            comment,
            extra={"action": "instance_refused"},
        )
