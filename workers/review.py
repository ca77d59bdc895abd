"""The process that serves the review page."""

import logging
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType

from pipeline.config import Configuration
from pipeline.ledger.accounts import By, NewAccount, Role, accounts, add_account
from pipeline.ledger.tables import now
from pipeline.owner import this_person
from pipeline.quiet import quietly
from pipeline.review.app import make_app
from pipeline.review.passwords import digest_of, drawn_password
from pipeline.review.server import address, listening, review_server
from pipeline.review.site import Site
from workers.presence import presence

LOG = logging.getLogger(__name__)

FIRST_NAME = "admin"
"""The account that is made where there is none."""

FIRST_HOURS = 24
"""Time in which its password must be changed [h]."""


def run_review(
    configuration: Configuration, place: str, state: Path, tell: Callable[[str], object] | None
) -> None:
    """Serve the review page until told to end by SIGTERM or SIGINT.

    Parameters
    ----------
    configuration
        The site's settings.
    place
        Where the ledger is.
    state
        Folder for what can be made anew.
    tell
        Tells a person the address, and the password of the first account, which is made where there
        is none; None makes none.

    Raises
    ------
    UnusableCall
        If its port is taken, or a file that the settings name cannot be read.
    """
    settings = configuration.review
    site = Site.open(place, configuration, state)
    with site, quietly(), listening(settings) as http, presence(place, "review"):
        server = review_server(make_app(site), settings, site.ending)

        def end(_signal: int, _frame: FrameType | None) -> None:
            # Before uvicorn takes the signal over, and after: it raises it once more at its end.
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        where = address(settings, http.getsockname()[1])
        _first_account(site, tell)
        if tell is not None:
            tell(f"review page at {where}")
        LOG.info("review page at %s", where, extra={"action": "review_open"})
        server.run(sockets=[http])


def _first_account(site: Site, tell: Callable[[str], object] | None) -> None:
    """Make an administrator where there is no account, and tell its password."""
    if accounts(site.ledger):
        return
    if tell is None:
        LOG.warning(
            "no account: make one by 'vesalius review accounts add'",
            extra={"action": "no_account"},
        )
        return
    password = drawn_password()
    new = NewAccount(
        name=FIRST_NAME,
        display_name="Administrator",
        role=Role.ADMINISTRATOR,
        password=digest_of(password),
        first_until=now() + timedelta(hours=FIRST_HOURS),
    )
    add_account(site.ledger, new, By(actor=this_person()))
    tell(f"sign in as {FIRST_NAME} with {password} and change it within {FIRST_HOURS} hours")
