"""What the routes of the review page share: the ledger, the settings, folders, the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Annotated, cast

from fastapi import Depends, Request

from pipeline.config import Configuration
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import now
from pipeline.review.begun import Begun
from pipeline.review.cache import Cache
from pipeline.review.dicomstore import DicomStore
from pipeline.review.index import Index
from pipeline.review.limiter import Limiter
from pipeline.review.looks import Looks
from pipeline.review.video import Videos
from pipeline.review.worklist import Worklist


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where the page is served."""

    ledger: Ledger
    """The ledger, open."""

    configuration: Configuration
    """The site's settings."""

    cache: Cache
    """Keeps what is shown of inputs."""

    videos: Videos
    """Makes what is played of inputs."""

    dicom: DicomStore
    """The DICOM objects that are held here."""

    worklist: Worklist
    """The results that are to be read."""

    clock: Callable[[], datetime] = now
    """The time, UTC: sessions end by it."""

    limiter: Limiter = field(default_factory=Limiter)
    """Counts failed logins."""

    looks: Looks = field(default_factory=Looks)
    """Which studies sessions have looked at."""

    begun: Begun = field(default_factory=Begun)
    """Logins at a provider that have not ended."""

    ending: Event = field(default_factory=Event)
    """Set when the server is told to end."""

    @classmethod
    def open(
        cls,
        place: str,
        configuration: Configuration,
        state: Path,
        *,
        clock: Callable[[], datetime] = now,
    ) -> "Site":
        """Open the ledger at a place, and return the site; close it afterwards.

        Parameters
        ----------
        place
            Where the ledger is.
        configuration
            The site's settings.
        state
            Folder for what can be made anew: the search index, and what is shown of inputs.
        clock
            The time, UTC.

        Raises
        ------
        LedgerUnavailable
            If the ledger cannot be reached or written.
        UnusableCall
            If the place is none, or the ledger is of another version.
        """
        settings = configuration.review
        ledger = Ledger.open(place)
        cache = Cache.open(state, settings.cache_mib << 20)
        return cls(
            ledger=ledger,
            cache=cache,
            dicom=DicomStore(ledger),
            videos=Videos(cache=cache),
            worklist=Worklist(ledger, Index.open(state)),
            configuration=configuration,
            clock=clock,
            limiter=Limiter(attempts=settings.attempts, attempts_s=settings.attempts_s),
        )

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger and the index."""
        self.worklist.close()
        self.ledger.close()


def site_of(request: Request) -> Site:
    """Return the site that a request is for."""
    return cast("Site", request.app.state.site)


TheSite = Annotated[Site, Depends(site_of)]
"""Parameter of a route: the site."""
