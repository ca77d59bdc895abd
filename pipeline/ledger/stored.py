"""The files that a ledger names: what is copied away with it, and where they went to."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import String, case, func, literal, select, update

from pipeline.ledger.batchtables import BatchRow
from pipeline.ledger.deliverycare import OPEN
from pipeline.ledger.deliverytables import DeliveryRow
from pipeline.ledger.exchange import InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger, Transaction
from pipeline.ledger.states import JobState
from pipeline.ledger.tables import ArtifactRow, Job
from pipeline.ledger.versions import VersionRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What a ledger names."""

    received: tuple[str, ...]
    """Files under the inbox."""

    artifacts: tuple[tuple[str, str, str], ...]
    """Files of jobs: the folder that the job's folder is in, the path under it, the SHA-256."""

    versions: tuple[str, ...]
    """Digests of bundles in the registry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unended:
    """What was under way when a ledger was copied."""

    jobs: tuple[UUID, ...]
    """Jobs that ran: they are done again."""

    deliveries: tuple[tuple[int, str, str], ...]
    """Deliveries that were not proven: number, destination, state. What was sent of them since is
    sent again."""


def stored(ledger: Ledger) -> Stored:
    """Return the files that a ledger names."""
    files = select(Job.folder, Job.output, ArtifactRow.relative_path, ArtifactRow.sha256).join(
        ArtifactRow, ArtifactRow.job_id == Job.id
    )
    with ledger.reading() as session:
        received = [
            path
            for column in (InstanceRow.relative_path, Suspect.relative_path)
            for path in session.scalars(select(column))
        ]
        artifacts = []
        for found, output, path, sha256 in session.execute(files.where(Job.folder.is_not(None))):
            folder = Path(found or "")
            place = folder / path
            root = Path(output) if output and place.is_relative_to(output) else folder.parent
            artifacts.append((str(root), place.relative_to(root).as_posix(), sha256))
        return Stored(
            received=tuple(received),
            artifacts=tuple(artifacts),
            versions=tuple(session.scalars(select(VersionRow.digest))),
        )


def unended(ledger: Ledger) -> Unended:
    """Return what was under way."""
    running = select(Job.id).where(Job.state == JobState.RUNNING)
    going = (
        select(DeliveryRow.id, DeliveryRow.destination, DeliveryRow.state)
        .where(DeliveryRow.state.in_(OPEN))
        .order_by(DeliveryRow.id)
    )
    with ledger.reading() as session:
        return Unended(
            jobs=tuple(session.scalars(running)),
            deliveries=tuple((r.id, r.destination, r.state) for r in session.execute(going)),
        )


def relocate(session: Transaction, before: Path, after: Path) -> None:
    """Have the ledger name files under another folder, within a transaction.

    Parameters
    ----------
    session
        The transaction.
    before
        Folder that the files were under.
    after
        Folder that they are under now.
    """
    old, new = str(before), str(after)
    for column in (Job.folder, Job.output, Job.input_root, BatchRow.output):
        rest = func.substr(column, len(old) + 1)
        moved = literal(new, String).concat(rest)
        # Compared by its beginning: a pattern would give meaning to signs of a path.
        is_under = func.substr(column, 1, len(old) + 1) == f"{old}/"
        session.execute(
            update(column.class_)
            .where((column == old) | is_under)
            .values({column.key: case((column == old, new), else_=moved)}),
            execution_options={"synchronize_session": False},
        )
