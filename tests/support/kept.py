"""An installation that keeps everything there is of some studies: what a removal must find."""

import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from pipeline.connections import ReceiveSettings
from pipeline.identity import digest_bytes
from pipeline.ledger.batches import Batch, Batches, Member
from pipeline.ledger.batchtables import BatchRow, BatchStudyRow, StudyState
from pipeline.ledger.deliveries import Deliveries, SentObject
from pipeline.ledger.given import Given
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviews import (
    Correction,
    Reading,
    correction_id,
    keep_correction,
    keep_reading,
)
from pipeline.ledger.reviewstates import ReviewState, Verdict
from pipeline.ledger.statistics import Described, ReferenceRow, StatisticsRow, record_within
from pipeline.ledger.workitems import Workitems
from pipeline.receive.inbox import Inbox
from pipeline.record.forget import Holdings
from pipeline.record.places import Places
from pipeline.review.index import Entry, Index
from pipeline.review.rows import Patient
from pipeline.steps import StepState
from pipeline.study import Artifact
from tests.support.encoded import Element, instance
from tests.support.inboxes import received
from tests.support.jobs import job_request

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def mark(study: int) -> str:
    """Return what only the objects of a study's patient say."""
    return f"ZZMARK{study}ZZ"


def holdings_of(folder: Path, ledger: Ledger, place: str) -> Holdings:
    """Return what an installation in a folder keeps."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    places = Places(
        inbox=folder / "inbox",
        state=state,
        registry=folder / "registry",
        features=folder / "features",
        output=folder / "out",
    )
    return Holdings(ledger=ledger, place=place, places=places)


def keep_study(holdings: Holdings, study: int, *, n_instances: int = 3) -> UUID:
    """Keep a study with everything that may be derived of it, and return its job."""
    ledger, places = holdings.ledger, holdings.places
    inbox = Inbox.open(places.inbox, ledger, ReceiveSettings(free_mib=0))
    marks = (
        Element(0x00100010, "PN", mark(study).encode()),
        Element(0x00100020, "LO", mark(study).encode() + b"P"),
    )
    for number in range(1, n_instances + 1):
        data = instance(100 * study + number, *marks, study=study)
        received(inbox, data, 100 * study + number)
    # Another data set under a UID that is known.
    received(
        inbox, instance(100 * study + 1, *marks, study=study, pixels=bytes(8)), 100 * study + 1
    )
    return _keep_job(holdings, study)


def study_uid(study: int) -> str:
    """Return the UID of a study as its instances have it."""
    from tests.support.encoded import identity

    (found,) = (one.value for one in identity(1, study=study) if one.tag == 0x0020000D)
    assert isinstance(found, bytes)
    return found.decode().rstrip("\0")


def _keep_job(holdings: Holdings, study: int) -> UUID:
    """Keep a job that is done, read, corrected, delivered, counted, shown and found."""
    ledger, places = holdings.ledger, holdings.places
    request = job_request(f"input {study}", study=study_uid(study))
    job_id = request.identity.job_id
    folder = Path(str(places.output)) / f"perfusion-{job_id.hex[:12]}"
    folder.mkdir(parents=True)
    content = f"{mark(study)} result".encode()
    (folder / "result.dcm").write_bytes(content)
    artifact = Artifact(
        kind="segmentation",
        relative_path="result.dcm",
        sop_instance_uid=f"2.25.77{study}",
        sha256=digest_bytes(content),
    )
    given = Given(input_root=places.inbox, inputs=("a.dcm",), configuration={})
    attempt = ledger.begin(request, given)
    assert ledger.complete(
        job_id, attempt, folder=folder, artifacts=[artifact], outcome={"note": mark(study)}
    )
    _keep_sent(ledger, job_id, artifact)
    _keep_read(ledger, job_id, study)
    _keep_around(holdings, job_id, study)
    _keep_shown(places, job_id, study)
    return job_id


def _keep_sent(ledger: Ledger, job_id: UUID, artifact: Artifact) -> None:
    """Keep a delivery that is done."""
    deliveries = Deliveries(ledger)
    with ledger.transaction() as session:
        deliveries.add_within(session, job_id, ["pacs"])
    claim = deliveries.claim("pacs", "test", 60.0)
    assert claim is not None
    assert claim.job_id == job_id
    sent = SentObject(
        relative_path=artifact.relative_path,
        sha256=artifact.sha256,
        sent_sha256=artifact.sha256,
        status="0000",
        sop_instance_uid=artifact.sop_instance_uid,
    )
    assert deliveries.sent(claim, [sent])
    deliveries.done(claim)


def _keep_read(ledger: Ledger, job_id: UUID, study: int) -> None:
    """Keep a reading, a correction and statistics."""
    content = f"{mark(study)} corrected".encode()
    correction = Correction(
        id=correction_id(job_id, "anna", "contours", content),
        job_id=job_id,
        author="anna",
        display_name="Arends^Anna",
        kind="contours",
        content=content,
        sha256=digest_bytes(content),
        at=AT,
    )
    reading = Reading(
        reviewer="anna",
        display_name="Arends^Anna",
        verdict=Verdict.ACCEPTED,
        reason=None,
        words=f"{mark(study)} words",
        correction_id=correction.id,
        state=ReviewState.EDITED,
        successor_job_id=None,
        result_digest="ab" * 32,
        at=AT,
    )
    with ledger.transaction() as session:
        keep_correction(session, correction)
        keep_reading(session, job_id, reading)
        record_within(session, job_id, Described(numbers={"n": 1.0}, categories={"m": "MAKER"}))
        session.flush()
        rows = list(session.scalars(select(StatisticsRow.id)))
        if session.get(ReferenceRow, "all") is None:
            session.add(
                ReferenceRow(
                    name="all",
                    members=rows,
                    end_at=AT,
                    window=8,
                    false_alarms=0.01,
                    least_effect=0.2,
                )
            )
        else:
            session.get_one(ReferenceRow, "all").members = rows


def _keep_around(holdings: Holdings, job_id: UUID, study: int) -> None:
    """Keep a step of a worklist, and a study of a batch with its tables."""
    ledger, output = holdings.ledger, Path(str(holdings.places.output))
    steps = Workitems(ledger)
    assert steps.intend(f"2.25.55{study}", "ris", study_uid(study))
    assert steps.change(f"2.25.55{study}", (StepState.SCHEDULED, StepState.IN_PROGRESS))
    assert steps.change(
        f"2.25.55{study}", (StepState.IN_PROGRESS, StepState.COMPLETED), mark(study)
    )
    batch = Batch(
        name=f"night-{study}",
        source={"folders": ["x"]},
        analyses=(),
        output=output,
        created_at=AT,
        pause_requested=False,
    )
    member = Member(
        study_instance_uid=study_uid(study),
        root=Path("/x"),
        inputs=(mark(study),),
        n_files=1,
        size_bytes=1,
    )
    Batches(ledger).make(batch, [member])
    with ledger.transaction() as session:
        row = session.scalars(select(BatchStudyRow).where(BatchStudyRow.batch == batch.name)).one()
        row.state, row.job_ids = StudyState.DONE, [str(job_id)]
        assert session.get(BatchRow, batch.name)
    (output / f"batch-{batch.name}" / "fetched" / "000001").mkdir(parents=True)
    (output / f"batch-{batch.name}" / "jobs.csv").write_text(mark(study))
    (output / f"batch-{batch.name}" / "fetched" / "000001" / "x.dcm").write_text(mark(study))


def _keep_shown(places: Places, job_id: UUID, study: int) -> None:
    """Keep what the review page shows and finds, and what was seen of a video."""
    cache = places.state / "review-cache" / f"{job_id}-frames"
    cache.mkdir(parents=True)
    (cache / "0.png").write_text(mark(study))
    digest = job_request(f"input {study}").identity.input_digest
    assert places.features is not None
    places.features.mkdir(exist_ok=True)
    (places.features / f"{digest[:32]}-x.npz").write_text(mark(study))
    index = Index.open(places.state)
    entry = Entry(
        job_id=job_id,
        changed_at=AT,
        analysis="perfusion",
        study_instance_uid=study_uid(study),
        bundle=("b", "1", "d"),
        lane="routine",
        priority=0,
        scanner=None,
        measure=None,
        patient=Patient(name=mark(study), id=mark(study), birth_date=None, sex=None),
        study=None,
        series_description=None,
    )
    index.put([entry])
    index.close()


def marks_in(folder: Path, *marks: str) -> list[Path]:
    """Return the files under a folder that hold a mark, in any case, or are named by one."""
    pattern = re.compile("|".join(re.escape(m) for m in marks).encode(), re.IGNORECASE)
    return [
        path
        for path in sorted(folder.rglob("*"))
        if pattern.search(str(path).encode())
        or (path.is_file() and pattern.search(path.read_bytes()))
    ]


def rows_with(place: str, marks: Sequence[str]) -> list[str]:
    """Return the rows of a SQLite ledger, but for the audit log, that hold a mark."""
    found = []
    connection = sqlite3.connect(place)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if table == "audit_events":
            continue
        for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a table of ours
            if any(m in str(row) for m in marks):
                found.append(f"{table}: {row}")
    connection.close()
    return found
