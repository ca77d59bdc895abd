"""What a ledger names, to be compared with the digests of a certificate."""

from dataclasses import dataclass

from sqlalchemy import select

from pipeline.ledger.deliverytables import DeliveryRow
from pipeline.ledger.exchange import InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviews import CorrectionRow, ReadingRow
from pipeline.ledger.statistics import StatisticsRow
from pipeline.ledger.tables import ArtifactRow, EventRow, Job


@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """What the ledger names beside studies."""

    jobs: frozenset[str]
    """Jobs, also those that only an event, a delivery or a reading names."""

    received: frozenset[str]
    """Digests of the data sets that were received or set aside."""

    artifacts: frozenset[str]
    """Digests of the files of jobs."""

    outputs: frozenset[str]
    """Folders that results are made in."""


def traces(ledger: Ledger) -> Traces:
    """Return what a ledger names."""
    with ledger.reading() as session:
        columns = (Job.id, *(t.job_id for t in (EventRow, DeliveryRow, StatisticsRow)))
        read = (ReadingRow.job_id, CorrectionRow.job_id)
        return Traces(
            jobs=frozenset(
                str(job_id)
                for column in (*columns, *read)
                for job_id in session.scalars(select(column).distinct())
            ),
            received=frozenset(
                digest
                for column in (InstanceRow.sha256, Suspect.sha256)
                for digest in session.scalars(select(column))
            ),
            artifacts=frozenset(session.scalars(select(ArtifactRow.sha256))),
            outputs=frozenset(o for o in session.scalars(select(Job.output).distinct()) if o),
        )
