"""What others report to the receiver by N-EVENT-REPORT is recorded, then answered."""

from pathlib import Path
from uuid import UUID

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from sqlalchemy import select

from pipeline.ledger.deliveries import Deliveries, SentObject
from pipeline.ledger.deliverytables import CommitmentRow, DeliveredObject, DeliveryRow
from pipeline.ledger.ledger import Ledger
from tests.support.deliveries import finish, write_objects
from tests.support.receiver import Receiver

MR = "1.2.840.10008.5.1.4.1.1.4"

DONE, WITH_FAILURES = 1, 2
"""Event Type IDs of a result of storage commitment: PS3.4, J.3.3."""


@pytest.fixture
def asked(tmp_path: Path) -> tuple[str, list[str]]:
    """Return the ledger of a delivery of two objects, which an archive was asked about."""
    place = str(tmp_path / "ledger.db")
    objects = write_objects(tmp_path / "result", UUID(int=7), 2)
    with Ledger.open(place) as ledger:
        finish(ledger, "reported", (tmp_path / "result", objects), ["archive"])
        queue = Deliveries(ledger)
        claim = queue.claim("archive", "test", 60.0)
        assert claim is not None
        sent = [
            SentObject(
                relative_path=each.relative_path,
                sha256=each.sha256,
                sent_sha256=each.sha256,
                status="0000",
                sop_instance_uid=each.sop_instance_uid,
            )
            for each in objects
        ]
        assert queue.sent(claim, sent)
        assert queue.asked(claim, "2.25.77")
    return place, [str(each.sop_instance_uid) for each in objects]


def report(receiver: Receiver, information: Dataset, kind: int) -> int:
    """Report as an archive does, over an association of its own, and return the status."""
    entity = AE(ae_title="ARCHIVE")
    entity.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = entity.associate("127.0.0.1", receiver.port, ae_title="VESALIUS", ext_neg=[role])
    assert association.is_established
    status, _ = association.send_n_event_report(
        information, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    association.release()
    return int(status.Status)


def result(transaction_uid: str, committed: list[str], failed: dict[str, int]) -> Dataset:
    """Return what an archive says of the objects that it was asked about."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [item(uid) for uid in committed]
    if failed:
        information.FailedSOPSequence = [item(uid, why) for uid, why in failed.items()]
    return information


def item(uid: str, reason: int | None = None) -> Dataset:
    """Return a reference to an object."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = MR, uid
    if reason is not None:
        reference.FailureReason = reason
    return reference


def test_a_commitment_is_recorded_and_answered(
    asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    place, (first, second) = asked
    with Receiver(tmp_path / "receiver", place) as receiver:
        told = result("2.25.77", [first], {second: 0x0213})
        assert report(receiver, told, WITH_FAILURES) == 0x0000
        with Ledger.open(place) as ledger, ledger.reading() as session:
            row = session.scalars(select(CommitmentRow)).one()
            assert row.answered_at is not None
            assert (row.committed, row.failed) == ([first], {second: 0x0213})
            assert session.scalars(
                select(DeliveredObject.sop_instance_uid).where(DeliveredObject.is_confirmed)
            ).all() == [first]
            assert "0213" in str(session.scalars(select(DeliveryRow.reason)).one())
    assert "storage commitment: 1 objects, and 1 not" in receiver.told()


def test_what_was_never_asked_or_cannot_be_read_is_answered_with_a_failure(
    asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    place, uids = asked
    with Receiver(tmp_path / "receiver", place) as receiver:
        assert report(receiver, result("2.25.78", uids, {}), DONE) == 0x0112
        unreadable = result("2.25.77", uids, {})
        del unreadable.TransactionUID
        unreadable.PatientName = "ZZMARK"
        assert report(receiver, unreadable, DONE) == 0x0110
        assert report(receiver, result("2.25.77", uids, {}), DONE) == 0x0000
        with Ledger.open(place) as ledger, ledger.reading() as session:
            row = session.scalars(select(CommitmentRow)).one()
            assert row.committed == uids
    assert "ZZMARK" not in receiver.told()
    assert "Traceback" not in receiver.told()
