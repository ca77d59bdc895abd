"""The process that looks after the studies that arrive, and submits those that are whole."""

import logging
from pathlib import Path

from pipeline.assemble.assembler import Assembler
from pipeline.config import Configuration
from pipeline.errors import BundleRejected, LedgerUnavailable
from pipeline.inservice import InService
from pipeline.ledger.ledger import Ledger
from pipeline.options import site_rules
from pipeline.submit import Terms
from workers.ending import told_to_end

LOG = logging.getLogger(__name__)

LOOK_S = 0.2
"""Time between two looks for studies whose time has come [s]."""

AWAY_S = 2.0
"""Time before a ledger or a folder that is away is tried again [s]."""


def run_assembler(configuration: Configuration, place: str, inbox: Path, output: Path) -> None:
    """Assemble until told to end by SIGTERM or SIGINT.

    Parameters
    ----------
    configuration
        The site's settings.
    place
        Where the ledger is.
    inbox
        Folder that studies are received in.
    output
        Folder for the results.

    Raises
    ------
    UnusableCall
        If the rules or the models cannot be read.
    """
    ending = told_to_end()
    with Ledger.open(place) as ledger:
        service = InService(ledger, configuration)
        assembler = Assembler(
            configuration=configuration,
            inbox=inbox,
            ledger=ledger,
            analyses=service.analyses(),
            terms=Terms(
                output=output,
                rules=site_rules(None, configuration),
                attempts=configuration.service.attempts,
                service=service,
            ),
        )
        while not ending.is_set():
            try:
                if not assembler.once():
                    ending.wait(LOOK_S)
            except (BundleRejected, LedgerUnavailable, OSError) as problem:
                LOG.warning("%s", _told(problem), extra={"action": "assembler_waits"})
                ending.wait(AWAY_S)


def _told(problem: Exception) -> str:
    """Return what an assembler waits for."""
    if isinstance(problem, BundleRejected):
        return f"the live version cannot be opened: {problem}"
    return f"{'the ledger' if isinstance(problem, LedgerUnavailable) else 'the inbox'} is away"
