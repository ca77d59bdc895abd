"""All that an installation keeps, opened for the commands that remove and copy it."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config import Configuration
from pipeline.ledger.ledger import Ledger
from pipeline.options import state_folder
from pipeline.record.forget import Holdings
from pipeline.record.places import Places


@contextmanager
def opened_holdings(settings: Configuration, place: str) -> Iterator[Holdings]:
    """Open what an installation keeps.

    Parameters
    ----------
    settings
        The site's settings.
    place
        Where the ledger is.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be reached or written.
    """
    with Ledger.open(place) as ledger:
        places = Places.of(settings, state_folder(place))
        yield Holdings(ledger=ledger, place=place, places=places)
