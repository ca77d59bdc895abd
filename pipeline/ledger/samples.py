"""One object of each series and each job, to be asked whose it is."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from pipeline.ledger.exchange import Arrival, InstanceRow, Suspect
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.tables import ArtifactRow, Job, Series, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """An object of a study."""

    study_instance_uid: str
    """The study."""

    path: Path
    """Its file: under the inbox, or absolute."""

    is_received: bool
    """Whether it lies under the inbox."""


def samples(ledger: Ledger) -> tuple[Sample, ...]:
    """Return one object of each series that was received, and of each job's inputs and files."""
    first = select(func.min(InstanceRow.id)).group_by(
        InstanceRow.arrival_id, InstanceRow.series_instance_uid
    )
    received = (
        select(Arrival.study_instance_uid, InstanceRow.relative_path)
        .join(Arrival, Arrival.id == InstanceRow.arrival_id)
        .where(InstanceRow.id.in_(first))
    )
    set_aside = select(Suspect.study_instance_uid, Suspect.relative_path).where(
        Suspect.study_instance_uid.is_not(None)
    )
    jobs = (
        select(Study.study_instance_uid, Job.input_root, Job.inputs, Job.folder, Job.id)
        .join(Series, Series.id == Job.series_id)
        .join(Study, Study.id == Series.study_id)
    )
    objects = select(ArtifactRow.job_id, func.min(ArtifactRow.relative_path)).where(
        ArtifactRow.sop_instance_uid.is_not(None)
    )
    found = []
    with ledger.reading() as session:
        for uid, path in (*session.execute(received), *session.execute(set_aside)):
            found.append(Sample(study_instance_uid=uid, path=Path(path), is_received=True))
        written = {job: path for job, path in session.execute(objects.group_by(ArtifactRow.job_id))}  # noqa: C416 - rows are no pairs
        for uid, root, inputs, folder, job_id in session.execute(jobs):
            places = [Path(root) / name for name in (inputs or ())[:1]] if root else []
            if folder and job_id in written:
                places.append(Path(folder) / written[job_id])
            found += [Sample(study_instance_uid=uid, path=p, is_received=False) for p in places]
    return tuple(found)
