"""The inbox, as what is fetched is kept in it."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import Configuration
from pipeline.gateways.multipart import Encoded
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reception import Reception, Standing
from pipeline.receive.encoded import offered
from pipeline.receive.inbox import Inbox, NoSpace, OtherInstance


class InboxKeeper:
    """Keeps what is fetched in an inbox: see ``pipeline.fetch.Keeper``."""

    def __init__(self, inbox: Inbox, ledger: Ledger) -> None:
        self._inbox, self._reception = inbox, Reception(ledger)

    def has(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Return those of some instances that are here."""
        return self._reception.has(sop_instance_uids)

    def keep(self, encoded: Encoded, sender: str) -> None:
        """Keep an instance: it is flushed and recorded when this returns.

        Raises
        ------
        UnreadableFile
            If it is no data set, too large, or another one than the one that is here.
        NoSpace
            If it cannot be written.
        LedgerUnavailable
            If it cannot be recorded.
        """
        offer, chunks = offered(encoded, sender)
        incoming = self._inbox.receive(offer)
        try:
            for chunk in chunks:
                incoming.write(chunk)
            kept = incoming.keep()
        except OSError as problem:
            raise NoSpace(f"the inbox cannot be written ({problem.strerror})") from problem
        finally:
            incoming.discard()
        if kept.standing is Standing.OTHER:
            raise OtherInstance("another data set was received before under its UID")


@contextmanager
def open_inbox(settings: Configuration, place: str, folder: Path) -> Iterator[InboxKeeper]:
    """Hold the inbox of a site.

    Parameters
    ----------
    settings
        The site's.
    place
        Where its ledger is.
    folder
        Where the inbox is.

    Raises
    ------
    UnusableCall
        If the folder cannot be written.
    LedgerUnavailable
        If the ledger cannot be used.
    """
    with Ledger.open(place) as ledger:
        yield InboxKeeper(Inbox.open(folder, ledger, settings.receive), ledger)
