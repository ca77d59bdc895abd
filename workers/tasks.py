"""The task ``run``: thin over ``pipeline.work``.

What a process works with is opened in the process that works, when it first does: sessions that are
made before a fork lose their threads, and connections must not be shared.
"""

import logging
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from celery import Celery

from pipeline.config import Configuration
from pipeline.errors import LedgerUnavailable
from pipeline.ledger.states import JobState
from pipeline.work import Bench, open_bench, work
from workers.app import TASK
from workers.opentraces import open_traces

if TYPE_CHECKING:
    from workers.traces import Traces

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Station:
    """A process that works."""

    configuration: Configuration
    """The site's settings."""

    place: str
    """Where the ledger is."""

    @cached_property
    def bench(self) -> Bench:
        """What it works with."""
        return open_bench(self.configuration, self.place)

    @cached_property
    def traces(self) -> "Traces | None":
        """Where the spans of its jobs go."""
        return open_traces(self.configuration.monitoring.traces)

    def work(self, job_id: UUID) -> JobState | None:
        """Do a job if it waits, and trace it if that is wanted."""
        if self.traces is None:
            return work(job_id, self.bench)
        with self.traces.attempt(job_id) as told:
            state = work(job_id, self.bench)
            told["vesalius.state"] = state.value if state else "nothing to do"
            return state


def add_run(app: Celery, configuration: Configuration, place: str) -> None:
    """Give an application the task that does a job.

    Parameters
    ----------
    app
        The application.
    configuration
        The site's settings.
    place
        Where the ledger is.
    """
    stations: dict[int, Station] = {}

    @app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def run(job_id: str) -> None:
        """Do a job if it waits; a call that comes twice or late does nothing."""
        station = stations.setdefault(
            os.getpid(), Station(configuration=configuration, place=place)
        )
        try:
            state = station.work(UUID(job_id))
        except LedgerUnavailable:
            LOG.warning(
                "the ledger is away", extra={"action": "ledger_unavailable", "job_id": job_id}
            )
            return
        LOG.info(
            "job %s: %s",
            job_id,
            state or "nothing to do",
            extra={"action": "job_ended", "job_id": job_id, "state": state},
        )
