"""The verified result in the ledger: a job of its own, delivered without sending anything twice."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.connections import Destination, Node
from pipeline.ledger.audit import verify
from pipeline.ledger.deliveries import Deliveries, SentObject
from pipeline.ledger.deliverycare import WantedDeliveries, deliveries
from pipeline.ledger.deliverytables import DeliveryState
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.lineage import lineage_of
from pipeline.ledger.pastjobs import past_job
from pipeline.ledger.states import JobState
from tests.support.jobs import job_request
from tests.support.readings import BERT, REJECTED, Readings, made_job
from tests.support.written import write_reconstruction

THERE = {
    "pacs": Destination(by="stow-rs", node="pacs", always=True),
    "share": Destination(by="folder", folder=Path("/share"), always=True),
}


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path) -> Readings:
    """Return a desk whose result is on its way to an archive and a folder."""
    found = made_job(ledger, write_reconstruction(tmp_path), "reconstruction")
    found.connect(THERE, {"pacs": Node(url="http://archive")})
    with ledger.transaction() as session:
        Deliveries(ledger).add_within(session, found.job_id, list(THERE))
    return found


def send_all(desk: Readings, job_id: UUID, name: str) -> int:
    """Answer for every object of a delivery that is left, and return how many there were."""
    claim = Deliveries(desk.ledger).claim(name, "test", 60.0)
    assert claim is not None
    assert claim.job_id == job_id
    before = {each.relative_path for each in claim.sent}
    left = [a for a in claim.artifacts if a.sop_instance_uid and a.relative_path not in before]
    answered = [
        SentObject(
            relative_path=a.relative_path, sha256=a.sha256, sent_sha256=a.sha256, status="200"
        )
        for a in left
    ]
    assert Deliveries(desk.ledger).sent(claim, answered)
    assert Deliveries(desk.ledger).done(claim) is DeliveryState.DONE
    return len(left)


def test_an_archive_is_sent_what_is_new_and_a_folder_everything(desk: Readings) -> None:
    objects = sum(a.sop_instance_uid is not None for a in desk.past.record.artifacts)
    assert [send_all(desk, desk.job_id, name) for name in THERE] == [objects, objects]
    successor = desk.accepted()
    assert send_all(desk, successor.job_id, "pacs") == 1
    assert send_all(desk, successor.job_id, "share") == objects


def test_an_archive_that_has_nothing_yet_is_sent_everything(desk: Readings) -> None:
    objects = sum(a.sop_instance_uid is not None for a in desk.past.record.artifacts)
    successor = desk.accepted()
    send_all(desk, desk.job_id, "pacs")
    assert send_all(desk, successor.job_id, "pacs") == objects


def test_a_rejection_ends_what_has_not_gone_and_leaves_what_has(desk: Readings) -> None:
    send_all(desk, desk.job_id, "pacs")
    desk.say(replace(REJECTED, reason="aliasing"), BERT)
    states = {d.destination: d.state for d in deliveries(desk.ledger, WantedDeliveries())}
    assert states == {"pacs": DeliveryState.DONE, "share": DeliveryState.CANCELLED}


def test_the_successor_is_done_and_whole_and_the_audit_log_closes(desk: Readings) -> None:
    successor = desk.accepted()
    found = past_job(desk.ledger, successor.job_id)
    assert found.record.state is JobState.DONE
    assert found.predecessor == desk.job_id
    assert found.input_digest == desk.past.input_digest
    assert found.configuration == {
        "review": {"state": "accepted", "readers": ["anna"], "correction": None, "author": None}
    }
    assert verify(desk.ledger).fault is None


def test_late_instances_take_the_place_of_the_verified_result(desk: Readings) -> None:
    successor = desk.accepted()
    later = job_request("later")
    later = replace(later, identity=replace(later.identity, analysis="reconstruction"))
    with desk.ledger.reading() as session:
        assert lineage_of(session, later).predecessor == successor.job_id
