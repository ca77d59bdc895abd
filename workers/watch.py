"""Submit the studies that are dropped into a folder."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline.analysis import Analysis
from pipeline.config import Configuration
from pipeline.dropfolder import DropFolder
from pipeline.errors import BundleRejected, LedgerUnavailable, UnusableCall
from pipeline.inservice import InService
from pipeline.ledger.ledger import Ledger
from pipeline.options import site_rules
from pipeline.submit import Terms, submit
from workers.ending import told_to_end

LOG = logging.getLogger(__name__)

LOOK_S = 1.0
"""Time between two looks into the folder [s]."""

AWAY_S = 5.0
"""Time before a folder or a ledger that is away is tried again [s]."""


def run_watch(folder: DropFolder, output: Path, configuration: Configuration, place: str) -> None:
    """Submit what is dropped into a folder until told to end by SIGTERM or SIGINT.

    Parameters
    ----------
    folder
        The folder.
    output
        Folder for the results.
    configuration
        The site's settings.
    place
        Where the ledger is.

    Raises
    ------
    UnusableCall
        If the folder is none.
    """
    if not folder.root.is_dir():
        raise UnusableCall(f"{folder.root}: no such folder")
    ending = told_to_end()
    with Ledger.open(place) as ledger:
        service = InService(ledger, configuration)
        analyses = service.analyses()
        terms = Terms(
            output=output,
            rules=site_rules(None, configuration),
            attempts=configuration.service.attempts,
            why="found in the folder that is watched",
            service=service,
        )
        while not ending.is_set():
            try:
                for inputs in folder.ready():
                    _submit(inputs, analyses, terms, ledger)
                ending.wait(LOOK_S)
            except (BundleRejected, LedgerUnavailable, OSError) as problem:
                LOG.warning("%s", _told(problem), extra={"action": "watch_waits"})
                folder.forget()
                ending.wait(AWAY_S)


def _told(problem: Exception) -> str:
    """Return what a watch waits for."""
    if isinstance(problem, BundleRejected):
        return f"the live version cannot be opened: {problem}"
    return f"{'the ledger' if isinstance(problem, LedgerUnavailable) else 'the folder'} is away"


def _submit(
    inputs: tuple[Path, ...], analyses: Sequence[Analysis], terms: Terms, ledger: Ledger
) -> None:
    """Submit one study, and log what became of it."""
    try:
        found = submit(inputs, analyses, terms, ledger)
    except UnusableCall:
        LOG.warning("a study has gone before it was read", extra={"action": "study_gone"})
        return
    for job in found.jobs:
        LOG.info(
            "job %s: %s",
            job.job_id,
            "submitted" if job.is_new else "known before",
            extra={"action": "job_submitted", "job_id": job.job_id, "state": job.state.value},
        )
    for refusal in found.refusals:
        LOG.warning("refused: %s", refusal.reason, extra={"action": "input_refused"})
