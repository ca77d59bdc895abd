"""Verdicts: what readers may say, and what follows from it, once and for good."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pydicom
import pytest
from sqlalchemy import update

from pipeline.connections import Destination, Node
from pipeline.deliver.gate import check
from pipeline.errors import ReviewRefused, UnusableCall
from pipeline.infer.terms import Compute
from pipeline.ledger.audit import Sought, entries
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.deliverycare import WantedDeliveries, deliveries
from pipeline.ledger.deliverytables import DeliveryRow, DeliveryState
from pipeline.ledger.exchange import Arrival
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.pastjobs import past_job
from pipeline.ledger.reviews import readings_of, standings
from pipeline.ledger.reviewstates import ReviewState, Verdict
from pipeline.ledger.states import JobState
from pipeline.ledger.statistics import without_statistics
from pipeline.ledger.tables import Job
from pipeline.ledger.turnaround import turnarounds
from pipeline.outputs import what_is_wrong
from pipeline.reproduce import Bench, reproduce
from pipeline.reproduction import Verdict as Reproduced
from pipeline.review.verdicts import Reader, Said, may_judge
from tests.support.deliveries import Running
from tests.support.deliveries import Site as DeliverySite
from tests.support.jobs import job_request
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.readings import (
    ACCEPTED,
    ANNA,
    ASKED,
    BERT,
    CARL,
    REJECTED,
    Readings,
    copied,
    made_job,
    plain,
)
from tests.support.runs import files_of
from tests.support.service import wait_until
from tests.support.written import write_reconstruction


def test_an_accepted_result_is_a_job_of_its_own_with_a_verified_report(desk: Readings) -> None:
    before = files_of(desk.folder())
    successor = desk.accepted()
    assert files_of(desk.folder()) == before
    assert successor.record.state is JobState.DONE
    assert successor.predecessor == desk.job_id
    folder = successor.record.folder
    assert folder is not None
    assert what_is_wrong(folder, successor.record.artifacts) is None
    assert set(files_of(folder)) == {*before, "verdict.json"}
    anew = {name for name, digest in files_of(folder).items() if before.get(name) != digest}
    assert anew == {"report.dcm", "key_objects.dcm", "verdict.json"}
    report = pydicom.dcmread(folder / "report.dcm")
    (observer,) = report.VerifyingObserverSequence
    assert report.VerificationFlag == "VERIFIED"
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == (
        "Arends^Anna",
        "St. Elsewhere",
    )
    for name in ("report.dcm", "key_objects.dcm"):
        assert check(folder / name, desk.configuration.gate) == ()
    said = json.loads((folder / "verdict.json").read_text())
    assert (said["state"], said["predecessor"]) == ("accepted", str(desk.job_id))
    outcome = successor.record.outcome or {}
    assert outcome["measurements"] == (desk.past.record.outcome or {})["measurements"]


def test_what_happened_is_told_and_audited_without_words(desk: Readings) -> None:
    successor = desk.accepted(replace(ACCEPTED, words="SECRET"))
    assert [event.event for event in desk.ledger.history(desk.job_id)][-1] == "reviewed"
    assert f"made of job {desk.job_id}" in str(desk.ledger.history(successor.job_id)[0].detail)
    (event,) = entries(desk.ledger, Sought(action="verdict"))
    assert event.audited.actor == "anna"
    assert (event.audited.role, event.audited.address) == ("reviewer", "10.0.0.7")
    assert event.audited.subject == f"job {desk.job_id}"
    assert event.audited.detail["successor"] == str(successor.job_id)
    assert "SECRET" not in str(event.to_json())


def test_a_verdict_that_is_sent_twice_is_recorded_once(desk: Readings) -> None:
    first, second = desk.say(ACCEPTED), desk.say(ACCEPTED)
    assert plain(first) == plain(second)
    with desk.ledger.reading() as session:
        assert readings_of(session, desk.job_id) == (first,)
    assert len(entries(desk.ledger, Sought(action="verdict"))) == 1


def test_the_same_verdict_writes_the_same_bytes_elsewhere(
    perfusion_run: tuple[Path, UUID], tiny_bundle: Path, tmp_path: Path
) -> None:
    found = []
    for name in ("first", "second"):
        desk = copied(perfusion_run, tmp_path / name, tiny_bundle)
        successor = desk.accepted()
        assert successor.record.folder is not None
        found.append((successor.job_id, files_of(successor.record.folder)))
        desk.ledger.close()
    assert found[0] == found[1]


def test_a_review_that_has_ended_takes_no_reading(desk: Readings) -> None:
    successor = desk.accepted()
    with pytest.raises(ReviewRefused, match="the review has ended: accepted"):
        desk.say(REJECTED, BERT)
    assert may_judge(desk.job_id, "bert", desk.desk) == "the review has ended: accepted"
    desk.job_id = successor.job_id
    with pytest.raises(ReviewRefused, match="is a verified result"):
        desk.say(ACCEPTED, BERT)


def test_two_readers_who_agree_both_verify(desk: Readings) -> None:
    desk.read_twice()
    assert desk.say(ACCEPTED).state is ReviewState.OPEN
    with pytest.raises(ReviewRefused, match="another reader is needed"):
        desk.say(REJECTED)
    reading = desk.say(ACCEPTED, BERT)
    assert reading.state is ReviewState.ACCEPTED
    desk.job_id = reading.successor_job_id or uuid4()
    report = pydicom.dcmread(desk.folder() / "report.dcm")
    assert [str(o.VerifyingObserverName) for o in report.VerifyingObserverSequence] == [
        "Arends^Anna",
        "Bauer^Bert",
    ]


def test_a_third_reader_decides_between_two(desk: Readings) -> None:
    desk.read_twice()
    desk.say(ACCEPTED)
    assert desk.say(REJECTED, BERT).state is ReviewState.DISAGREEMENT
    reading = desk.say(ACCEPTED, CARL)
    assert reading.state is ReviewState.ACCEPTED
    desk.job_id = reading.successor_job_id or uuid4()
    report = pydicom.dcmread(desk.folder() / "report.dcm")
    names = [str(o.VerifyingObserverName) for o in report.VerifyingObserverSequence]
    assert names == ["Arends^Anna", "Čapek^Karel"]


def test_whoever_asks_for_a_second_opinion_does_not_give_it(desk: Readings) -> None:
    assert desk.say(ASKED).state is ReviewState.SECOND_OPINION
    with pytest.raises(ReviewRefused, match="you have asked for a second opinion"):
        desk.say(ACCEPTED)
    assert desk.say(REJECTED, BERT).state is ReviewState.REJECTED
    with desk.ledger.reading() as session:
        assert standings(session)[desk.job_id].state is ReviewState.REJECTED


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Said(verdict=Verdict.REJECTED), "a rejection needs a reason: one of artefact, contrast"),
        (Said(verdict=Verdict.REJECTED, reason="aliasing"), "a rejection needs a reason"),
        (Said(verdict=Verdict.REJECTED, reason="other", words=" "), "needs words"),
        (Said(verdict=Verdict.ACCEPTED, reason="motion"), "a reason is for a rejection"),
        (Said(verdict=Verdict.ACCEPTED, words="x" * 2001), "2000 characters at most"),
    ],
)
def test_what_cannot_be_said_is_refused(said: Said, reason: str, desk: Readings) -> None:
    with pytest.raises(ReviewRefused, match=reason):
        desk.say(said)


def test_a_correction_of_another_job_is_none(desk: Readings) -> None:
    with pytest.raises(UnusableCall, match="no correction"):
        desk.say(replace(ACCEPTED, correction=uuid4()))


def test_a_result_whose_files_were_altered_is_not_verified(desk: Readings) -> None:
    (desk.folder() / "segmentation.nii.gz").write_bytes(b"other")
    with pytest.raises(ReviewRefused, match=r"segmentation\.nii\.gz is altered"):
        desk.say(ACCEPTED)
    with desk.ledger.reading() as session:
        assert readings_of(session, desk.job_id) == ()


def test_a_verdict_whose_files_cannot_be_written_is_not_recorded(desk: Readings) -> None:
    lock = desk.folder().parent / ".vesalius.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(ReviewRefused, match="cannot be written"):
        desk.say(ACCEPTED)
    lock.rmdir()
    assert desk.say(ACCEPTED).state is ReviewState.ACCEPTED


def test_verified_results_are_no_studies_of_their_own_to_the_watch_on_drift(
    desk: Readings,
) -> None:
    desk.accepted()
    assert without_statistics(desk.ledger) == ()


def test_the_time_until_a_result_was_read_is_no_turnaround(desk: Readings, tmp_path: Path) -> None:
    desk.connect({"share": folder_at(tmp_path / "share")})
    study = desk.past.study_instance_uid
    with desk.ledger.transaction() as session:
        times = {"first_at": -9.0, "last_at": -9.0, "look_at": -9.0, "taken_at": -8.0}
        session.add(Arrival(study_instance_uid=study, state="taken", **times))
    add_deliveries(desk, "share")
    desk.accepted()
    with desk.ledger.transaction() as session:
        session.execute(update(DeliveryRow).values(state="done", done_s=1.0))
    assert len(going(desk)) == 2
    assert len(turnarounds(desk.ledger)) == 1


def folder_at(path: Path, **settings: object) -> Destination:
    path.mkdir()
    return Destination(by="folder", folder=path, always=True, **settings)  # type: ignore[arg-type]


def add_deliveries(desk: Readings, *names: str) -> None:
    with desk.ledger.transaction() as session:
        Deliveries(desk.ledger).add_within(session, desk.job_id, names)


def going(desk: Readings) -> dict[tuple[str, UUID], DeliveryState]:
    found = deliveries(desk.ledger, WantedDeliveries())
    return {(line.destination, line.job_id): line.state for line in found}


def test_a_verified_result_goes_where_it_is_wanted(desk: Readings, tmp_path: Path) -> None:
    desk.connect(
        {
            "also": folder_at(tmp_path / "also"),
            "only": folder_at(tmp_path / "only", verified_only=True),
            "never": folder_at(tmp_path / "never", after_review="never"),
            "others": folder_at(tmp_path / "others", analyses=("phases",)),
        }
    )
    successor = desk.accepted()
    waiting = DeliveryState.WAITING
    assert going(desk) == {(n, successor.job_id): waiting for n in ("also", "only")}


def test_a_rejected_result_is_not_sent_any_more(desk: Readings, tmp_path: Path) -> None:
    desk.connect({"share": folder_at(tmp_path / "share")})
    add_deliveries(desk, "share")
    desk.say(REJECTED)
    assert going(desk) == {("share", desk.job_id): DeliveryState.CANCELLED}


@needs_orthanc
def test_an_archive_gets_the_verified_report_and_nothing_twice(
    desk: Readings, tmp_path: Path
) -> None:
    with Orthanc(tmp_path / "orthanc", aet="ARCHIVE") as orthanc:
        node = Node(ae_title="ARCHIVE", host="127.0.0.1", port=orthanc.port)
        there = Destination(by="c-store", node="pacs", always=True)
        desk.connect({"pacs": there}, {"pacs": node})
        site = DeliverySite(folder=tmp_path / "site", ledger=desk.ledger, dciodvfy="required")
        site.nodes["pacs"], site.destinations["pacs"] = node, there
        add_deliveries(desk, "pacs")
        with Running(site):
            wait_until(lambda: site.states() == ["done"], 60, site.told)
            before = set(orthanc.sop_instance_uids())
            successor = desk.accepted()
            wait_until(lambda: site.states() == ["done", "done"], 60, site.told)
        (line,) = deliveries(desk.ledger, WantedDeliveries(job_id=successor.job_id))
        objects = [a for a in successor.record.artifacts if a.sop_instance_uid]
        assert line.sent == line.confirmed == len(objects)
        found = orthanc.rest("/instances?expand")
        new = [i for i in found if i["MainDicomTags"]["SOPInstanceUID"] not in before]
        assert len(found) == len(before) + 2
        stored = tmp_path / "stored.dcm"
        reports = []
        for one in new:
            stored.write_bytes(orthanc.file(one["ID"]))
            document = pydicom.dcmread(stored)
            if document.Modality == "SR":
                reports.append(document)
        (report,) = reports
        assert report.VerificationFlag == "VERIFIED"
        named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in before


def test_a_result_without_a_patient_is_accepted_too(
    tiny_bundle: Path, phantom_nifti: Path, tmp_path: Path
) -> None:
    from tests.support.readings import run_perfusion

    job_id = run_perfusion(tiny_bundle, phantom_nifti, tmp_path)
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        desk = Readings(ledger, job_id, tiny_bundle)
        successor = desk.accepted()
        assert successor.record.folder is not None
        assert not list(successor.record.folder.rglob("*.dcm"))
        assert (successor.record.folder / "verdict.json").is_file()


def test_phases_are_accepted(phases_desk: Readings) -> None:
    successor = phases_desk.accepted()
    assert successor.record.folder is not None
    path = successor.record.folder / "report.dcm"
    assert check(path, phases_desk.configuration.gate) == ()
    report = pydicom.dcmread(path)
    assert report.VerificationFlag == "VERIFIED"
    assert str(report.VerifyingObserverSequence[0].VerifyingObserverName) == ANNA.display_name


def test_a_verified_result_is_told_to_be_made_of_another_job(
    desk: Readings, tmp_path: Path
) -> None:
    successor = desk.accepted()
    bench = Bench(
        ledger=desk.ledger,
        configuration=desk.configuration,
        compute=Compute(threads=1),
        scratch=tmp_path / "again",
    )
    found = reproduce(successor.job_id, bench)
    assert found.verdict is Reproduced.IMPOSSIBLE
    assert found.notes == (
        f"readers made this result of job {desk.job_id}: that one can be done again",
    )


def test_a_result_that_late_instances_have_replaced_is_not_judged(desk: Readings) -> None:
    later = job_request("later")
    desk.ledger.begin(later)
    with desk.ledger.transaction() as session:
        session.execute(
            update(Job)
            .where(Job.id == later.identity.job_id)
            .values(state="done", predecessor_id=desk.job_id)
        )
    with pytest.raises(ReviewRefused, match="takes the place of job"):
        desk.say(ACCEPTED)


def test_of_two_readers_at_once_one_ends_the_review_and_the_other_is_told(desk: Readings) -> None:
    def say(reader: Reader) -> ReviewState | str:
        try:
            return desk.say(ACCEPTED, reader).state
        except ReviewRefused as refused:
            return str(refused)

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(say, (ANNA, BERT, CARL)))
    refused = [each for each in found if not isinstance(each, ReviewState)]
    assert len(refused) == 2
    assert all("look again" in each or "has ended" in each for each in refused)
    with desk.ledger.reading() as session:
        (reading,) = readings_of(session, desk.job_id)
    successor = past_job(desk.ledger, reading.successor_job_id or uuid4())
    assert successor.record.folder is not None
    assert what_is_wrong(successor.record.folder, successor.record.artifacts) is None


def test_files_of_a_verdict_that_was_not_recorded_are_replaced(
    perfusion_run: tuple[Path, UUID], tiny_bundle: Path, tmp_path: Path
) -> None:
    desk = copied(perfusion_run, tmp_path / "first", tiny_bundle)
    successor = desk.accepted()
    assert successor.record.folder is not None
    name = successor.record.folder.name
    desk.ledger.close()
    desk = copied(perfusion_run, tmp_path / "second", tiny_bundle)
    stale = desk.folder().parent / name
    shutil.copytree(successor.record.folder, stale)
    (stale / "report.dcm").write_bytes(b"of an earlier moment")
    again = desk.accepted()
    assert again.record.folder == stale.resolve()
    assert what_is_wrong(stale, again.record.artifacts) is None
    desk.ledger.close()


def test_a_reconstruction_is_accepted_with_its_images_as_they_are(tmp_path: Path) -> None:
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        desk = made_job(ledger, write_reconstruction(tmp_path), "reconstruction")
        before = files_of(desk.folder())
        successor = desk.accepted()
        assert successor.record.folder is not None
        after = files_of(successor.record.folder)
        assert {n for n, d in after.items() if before.get(n) != d} == {
            "key_objects.dcm",
            "verdict.json",
        }
        path = successor.record.folder / "key_objects.dcm"
        assert check(path, desk.configuration.gate) == ()
