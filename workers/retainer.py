"""The process that removes what has grown old, once a day."""

import logging

from pipeline.config import Configuration
from pipeline.errors import PipelineError
from pipeline.record.retain import retain
from workers.ending import told_to_end
from workers.holdings import opened_holdings
from workers.logs import set_up_logs

LOG = logging.getLogger(__name__)

DAY_S = 86_400.0
"""Time between two runs [s]."""

AWAY_S = 60.0
"""Time before a ledger or a folder that is away is tried again [s]."""


def run_retainer(configuration: Configuration, place: str) -> None:
    """Remove what has grown old, now and once a day, until told to end by SIGTERM or SIGINT.

    Parameters
    ----------
    configuration
        The site's settings.
    place
        Where the ledger is.
    """
    set_up_logs(configuration.monitoring.log)
    ending = told_to_end()
    longest_s = configuration.service.longest_s
    while not ending.is_set():
        try:
            with opened_holdings(configuration, place) as holdings:
                found = retain(configuration.retention, holdings, longest_s)
        except (PipelineError, OSError) as problem:
            LOG.warning("%s", type(problem).__name__, extra={"action": "retention_waits"})
            ending.wait(AWAY_S)
            continue
        LOG.info(
            "%d received studies, %d studies, %d data sets, %d events removed; %d studies kept",
            len(found.inputs),
            len(found.studies),
            len(found.suspects),
            found.events,
            len(found.kept),
            extra={"action": "retention"},
        )
        ending.wait(DAY_S)
