"""A study that is forgotten is nowhere any more, whatever kills the removal; the proof holds."""

import json
import multiprocessing
import os
import pkgutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from pipeline.connections import ReceiveSettings
from pipeline.errors import LedgerUnavailable, UnusableCall
from pipeline.ledger.audit import entries, verify
from pipeline.ledger.exchange import InstanceRow
from pipeline.ledger.footprint import Footprint, footprint_of
from pipeline.ledger.forgetting import Asked, Forgetting
from pipeline.ledger.holds import hold, holds, release
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.queue import JobOrder, Queue
from pipeline.ledger.recordtables import ForgettingRow, ForgettingState, ForgottenJobRow
from pipeline.ledger.reviews import ReadingRow
from pipeline.ledger.statistics import ReferenceRow, StatisticsRow
from pipeline.receive.inbox import Inbox
from pipeline.record.certificate import read_certificate
from pipeline.record.forget import Forgotten, Holdings, forget, look, resume
from pipeline.record.left import prove
from pipeline.record.patients import studies_of
from pipeline.record.removal import Removal
from tests.support.encoded import instance
from tests.support.inboxes import received
from tests.support.jobs import job_request
from tests.support.kept import (
    holdings_of,
    keep_study,
    mark,
    marks_in,
    rows_with,
    study_uid,
)

ASKED = Asked(actor="anna@here", reason="request")


def forgotten_marks(holdings: Holdings, study: int, job_id: UUID) -> list[str]:
    """Return where a study's marks are found, but for the audit log."""
    found = [str(path) for path in marks_in(holdings.places.state.parent, mark(study))]
    if "://" not in holdings.place:
        found += rows_with(holdings.place, [mark(study), study_uid(study) + "'", job_id.hex])
    return found


def files_with(holdings: Holdings, study: int) -> list[Path]:
    """Return the files, but for databases and their journals, that hold a study's marks."""
    found = marks_in(holdings.places.state.parent, mark(study))
    return [path for path in found if ".db" not in path.name]


def check_gone(holdings: Holdings, study: int, job_id: UUID, done: Forgotten) -> None:
    """Check that nothing is left of a study, and that its certificate proves it."""
    assert forgotten_marks(holdings, study, job_id) == []
    with holdings.ledger.reading() as session:
        assert footprint_of(session, study_uid(study)).is_empty
        assert session.scalar(select(func.count()).select_from(ForgottenJobRow)) == 0
        states = session.scalars(select(ForgettingRow.state)).all()
        assert set(states) == {ForgettingState.DONE}
        assert session.scalars(select(ForgettingRow.plan)).all() == [None] * len(states)
    certificate, sha256 = read_certificate(done.certificate)
    assert sha256 == done.sha256
    proof = prove(certificate, sha256, holdings, deep=True)
    assert proof.faults == ()
    assert proof.files > 0
    assert verify(holdings.ledger).fault is None


def test_a_forgotten_study_is_nowhere_and_the_next_one_is_whole(holdings: Holdings) -> None:
    job_id, other = keep_study(holdings, 1), keep_study(holdings, 2)
    assert len(forgotten_marks(holdings, 1, job_id)) >= 8, "the marks are there to be found"
    kept = files_with(holdings, 2)
    before = look(study_uid(2), holdings)
    done = forget(study_uid(1), ASKED, holdings)
    check_gone(holdings, 1, job_id, done)
    assert look(study_uid(2), holdings) == before
    assert files_with(holdings, 2) == kept
    assert holdings.ledger.find(other) is not None
    with holdings.ledger.reading() as session:
        # A number of statistics is given again: it must not be a member then.
        assert session.get_one(ReferenceRow, "all").members == list(
            session.scalars(select(StatisticsRow.id))
        )
        assert session.scalar(select(func.count()).select_from(ReadingRow)) == 1


def test_the_certificate_says_what_was_removed_and_names_nothing(holdings: Holdings) -> None:
    job_id = keep_study(holdings, 1)
    done = forget(study_uid(1), ASKED, holdings)
    certificate, _ = read_certificate(done.certificate)
    text = done.certificate.read_text()
    for named in (study_uid(1), str(job_id), mark(1), str(holdings.places.inbox)):
        assert named not in text
    assert (certificate["actor"], certificate["reason"]) == ("anna@here", "request")
    assert certificate["rows"]["instances"] == 3
    assert certificate["rows"]["suspects"] == 1
    assert len(certificate["instances_sha256"]) == 4
    assert len(certificate["artifacts_sha256"]) == 1
    (sent,) = certificate["sent"]
    assert (sent["destination"], sent["state"], sent["objects"]) == ("pacs", "done", 1)
    actions = {e.audited.action: e.audited for e in entries(holdings.ledger)}
    assert actions["study deleted"].subject == f"study {study_uid(1)}"
    assert actions["deletion certified"].detail == {"sha256": done.sha256}


def test_what_came_back_or_stayed_is_found(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    path = holdings.places.inbox / look(study_uid(1), holdings).instances[0][0]
    content = path.read_bytes()
    done = forget(study_uid(1), ASKED, holdings)
    certificate, sha256 = read_certificate(done.certificate)
    elsewhere = holdings.places.inbox / path.name
    elsewhere.write_bytes(content)
    assert any(str(elsewhere) in f for f in prove(certificate, sha256, holdings).faults)
    elsewhere.unlink()
    copy = holdings.places.state / "copy.bin"
    copy.write_bytes(f"{mark(1)} result".encode())
    assert prove(certificate, sha256, holdings).faults == ()
    assert any(str(copy) in f for f in prove(certificate, sha256, holdings, deep=True).faults)
    copy.unlink()
    holdings.ledger.begin(job_request("input 1", study=study_uid(1)))
    faults = prove(certificate, sha256, holdings).faults
    assert any("the ledger knows the study" in fault for fault in faults)
    assert any("names 1 jobs of it" in fault for fault in faults)


def test_a_certificate_that_was_changed_is_none(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    done = forget(study_uid(1), ASKED, holdings)
    document = json.loads(done.certificate.read_text())
    done.certificate.write_text(json.dumps({**document, "actor": "nobody"}))
    certificate, sha256 = read_certificate(done.certificate)
    (fault,) = prove(certificate, sha256, holdings).faults
    assert "does not know this certificate" in fault
    done.certificate.write_text("{}")
    with pytest.raises(UnusableCall, match="no certificate of a deletion"):
        read_certificate(done.certificate)


def test_a_study_that_is_worked_on_is_refused(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    ledger, queue = holdings.ledger, Queue(holdings.ledger)
    request = job_request("runs", study=study_uid(1))
    order = JobOrder(
        lane="routine",
        priority=0,
        attempts=3,
        input_root=Path("/in"),
        inputs=("a",),
        configuration={},
        output=holdings.places.state.parent / "out",
    )
    queue.submit(request, order)
    claim = queue.claim(request.identity.job_id, "elsewhere 1 2 3", 600.0)
    assert claim is not None
    with pytest.raises(UnusableCall, match=f"job {claim.job_id} runs: wait, or cancel it"):
        forget(study_uid(1), ASKED, holdings)
    assert look(study_uid(1), holdings).rows["jobs"] == 2
    assert not Forgetting(ledger).unfinished()
    assert queue.hand_back(claim.job_id, claim.attempt)
    forget(study_uid(1), ASKED, holdings)
    assert queue.claim(claim.job_id, "elsewhere 1 2 3", 600.0) is None


def test_a_study_that_is_held_is_refused_until_it_is_released(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    hold(holdings.ledger, study_uid(1), "case-7", "anna@here")
    with pytest.raises(UnusableCall, match=r"is held for case-7: release it first"):
        forget(study_uid(1), ASKED, holdings)
    assert [each.case for each in holds(holdings.ledger)] == ["case-7"]
    with pytest.raises(UnusableCall, match="a case has"):
        hold(holdings.ledger, study_uid(1), "Miller, Anna", "anna@here")
    release(holdings.ledger, study_uid(1), "anna@here")
    with pytest.raises(UnusableCall, match="is not held"):
        release(holdings.ledger, study_uid(1), "anna@here")
    forget(study_uid(1), ASKED, holdings)
    actions = [e.audited.action for e in entries(holdings.ledger)]
    assert actions[1:3] == ["study held", "study released"]


def test_an_unknown_study_is_refused(holdings: Holdings) -> None:
    with pytest.raises(UnusableCall, match=r"2\.25\.404: nothing is known of it"):
        forget("2.25.404", ASKED, holdings)


def test_the_studies_of_a_patient_are_found_in_the_objects(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    keep_study(holdings, 2)
    assert studies_of(f"{mark(2)}P", holdings) == (study_uid(2),)
    assert studies_of("nobody", holdings) == ()


def test_readings_are_removed_with_their_job_and_in_no_other_way(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    with (
        pytest.raises(LedgerUnavailable, match="readings and corrections are only added"),
        holdings.ledger.transaction() as session,
    ):
        session.delete(session.scalars(select(ReadingRow)).one())


def test_a_footprint_is_read_back_as_it_was_written(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    found = look(study_uid(1), holdings)
    assert Footprint.of_json(json.loads(json.dumps(found.to_json()))) == found


def test_an_instance_that_comes_anew_meanwhile_stays(holdings: Holdings) -> None:
    keep_study(holdings, 1)
    begun = Forgetting(holdings.ledger).begin(study_uid(1), ASKED)
    inbox = Inbox.open(holdings.places.inbox, holdings.ledger, ReceiveSettings(free_mib=0))
    data = instance(101, study=1, pixels=bytes(8))
    first = received(inbox, data, 101)
    footprint = Footprint.of_json(begun.plan["footprint"])
    again = replace(
        footprint,
        instances=(*footprint.instances, (str(first.instance.relative_path), "x")),
    )
    removal = Removal(
        forgetting=Forgetting(holdings.ledger),
        forgetting_id=begun.id,
        found=again,
        places=holdings.places,
    )
    assert removal.remove_received() == 1
    assert (holdings.places.inbox / first.instance.relative_path).is_file()
    with holdings.ledger.reading() as session:
        assert session.scalar(select(func.count()).select_from(InstanceRow)) == 1


POINTS = (
    *(
        (f"pipeline.record.removal.Removal.{step}", when)
        for step in (
            "remove_received",
            "remove_suspects",
            "remove_results",
            "remove_told",
            "remove_shown",
            "remove_seen",
            "remove_tables",
        )
        for when in ("before", "after")
    ),
    ("pipeline.ledger.forgetting.Forgetting.begin", "before"),
    ("pipeline.ledger.forgetting.Forgetting.begin", "after"),
    ("pipeline.record.forget.write_certificate", "after"),
    ("pipeline.ledger.forgetting.Forgetting.removed", "after"),
    ("pipeline.record.forget.scrub", "before"),
    ("pipeline.record.forget.scrub", "after"),
    ("shutil.rmtree", "before"),
    ("pathlib.Path.unlink", "after"),
    ("pathlib.Path.rename", "after"),
)


def forget_and_die(where: str, when: str, place: str, folder: Path) -> None:
    """Forget a study, and die before or after a step of it; for a process of its own."""
    owner, _, name = where.rpartition(".")
    holder = pkgutil.resolve_name(owner)
    step = getattr(holder, name)

    def dying(*given: Any, **named: Any) -> None:
        if when == "after":
            step(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    with Ledger.open(place) as ledger:
        holdings = holdings_of(folder, ledger, place)
        setattr(holder, name, dying)
        forget(study_uid(1), ASKED, holdings)


@pytest.mark.parametrize(("where", "when"), POINTS)
def test_a_removal_that_is_killed_there_is_ended_by_the_next(
    where: str, when: str, tmp_path: Path
) -> None:
    place = str(tmp_path / "state" / "ledger.db")
    with Ledger.open(place) as ledger:
        holdings = holdings_of(tmp_path, ledger, place)
        job_id = keep_study(holdings, 1)
    # Forked, so that it does not import everything again.
    dies = multiprocessing.get_context("fork").Process(
        target=forget_and_die, args=(where, when, place, tmp_path)
    )
    dies.start()
    dies.join(60)
    assert dies.exitcode == -signal.SIGKILL
    with Ledger.open(place) as ledger:
        holdings = holdings_of(tmp_path, ledger, place)
        ended = resume(holdings)
        if where.endswith("begin") and when == "before":
            assert ended == ()
            ended = (forget(study_uid(1), ASKED, holdings),)
        for done in ended:
            check_gone(holdings, 1, job_id, done)
        assert forgotten_marks(holdings, 1, job_id) == []
        assert not Forgetting(ledger).unfinished()
        assert len(list(holdings.places.certificates.glob("*.json"))) == 1
        assert resume(holdings) == ()
