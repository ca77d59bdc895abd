"""Steps are performed from their claim to their end, whatever happens in between."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pydicom
import pytest
from pydicom.dataset import Dataset

from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.ups import DimseWorklist
from pipeline.gateways.worklist import StepRefused, Worklist
from pipeline.ledger.care import Care
from pipeline.ledger.deliverytables import DeliveryRow, WorkitemRow
from pipeline.ledger.listing import Wanted, jobs
from pipeline.ledger.states import JobState
from pipeline.steps import StepState
from pipeline.work import work
from pipeline.worklist.inputs import InboxInputs
from tests.support.performing import (
    Place,
    dimse_node,
    listening,
    served,
    with_settings,
)
from tests.support.service import free_port, wait_until
from tests.support.steps import CODE, inputs_of, step
from tests.support.upsmanager import PERFORMED, Manager, unmet
from tests.support.upsscp import UpsScp

UID = "2.25.1"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.ledger.close()


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def scp(manager: Manager) -> Iterator[UpsScp]:
    with UpsScp(manager) as found:
        yield found


@pytest.fixture
def worklist(scp: UpsScp, at: Place) -> Worklist:
    return DimseWorklist(dimse_node(scp), at.configuration)


def progress_of(manager: Manager, uid: str = UID) -> Dataset:
    (item,) = manager.items[uid].dataset.ProcedureStepProgressInformationSequence
    return item


def performed_of(manager: Manager, uid: str = UID) -> Dataset:
    (item,) = manager.items[uid].dataset.UnifiedProcedureStepPerformedProcedureSequence
    return item


def reason_of(manager: Manager, uid: str = UID) -> str:
    (code,) = progress_of(manager, uid).ProcedureStepDiscontinuationReasonCodeSequence
    assert code.CodingSchemeDesignator == "DCM"
    return str(code.CodeValue)


@pytest.mark.parametrize("way", ["dimse", "ups-rs"])
def test_a_perfusion_study_is_performed_from_claim_to_outputs(
    way: str, at: Place, manager: Manager, sound_study: Path
) -> None:
    at.inputs = InboxInputs(at.items, at.receive(sound_study))
    assert manager.create(UID, step(inputs_of(sound_study), priority="HIGH")) == 0
    with served(way, manager) as worklist:
        performer = at.performer(worklist)
        assert performer.round() == 1
        assert manager.items[UID].state == "IN PROGRESS"
        performer.round()
        assert progress_of(manager).ProcedureStepProgress == 10
        assert at.work(UID) == [JobState.DONE]
        performer.round()
    assert manager.items[UID].history == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]
    assert unmet(manager.items[UID].dataset, "COMPLETED") == []
    performed = performed_of(manager)
    assert all(performed.get(key) for key in PERFORMED)
    (station,) = performed.PerformedStationNameCodeSequence
    (code,) = performed.PerformedWorkitemCodeSequence
    assert (station.CodeValue, code.CodeValue, code.CodeMeaning) == ("VESALIUS", CODE[0], CODE[2])
    began, ended = (
        performed.PerformedProcedureStepStartDateTime,
        performed.PerformedProcedureStepEndDateTime,
    )
    assert began < ended
    assert progress_of(manager).ProcedureStepProgress == 100
    check_outputs(at, performed)
    assert at.item(UID).state is StepState.COMPLETED


def check_outputs(at: Place, performed: Dataset) -> None:
    """Check that the outputs are the DICOM objects that the job wrote, and where they are."""
    (job,) = at.jobs(UID)
    record = at.ledger.find(job)
    assert record is not None
    assert record.folder is not None
    written = {
        a.sop_instance_uid: record.folder / a.relative_path
        for a in record.artifacts
        if a.sop_instance_uid
    }
    assert written
    named = {}
    for item in performed.OutputInformationSequence:
        assert item.TypeOfInstances == "DICOM"
        assert item.DICOMRetrievalSequence[0].RetrieveAETitle == "ARCHIVE"
        assert item.WADORSRetrievalSequence[0].RetrieveURL.endswith(item.SeriesInstanceUID)
        for reference in item.ReferencedSOPSequence:
            named[reference.ReferencedSOPInstanceUID] = (
                reference.ReferencedSOPClassUID,
                item.StudyInstanceUID,
                item.SeriesInstanceUID,
            )
    for uid, path in written.items():
        found = pydicom.dcmread(path, stop_before_pixels=True)
        assert named.pop(uid) == (
            found.SOPClassUID,
            found.StudyInstanceUID,
            found.SeriesInstanceUID,
        )
    assert named == {}


@pytest.mark.parametrize(
    ("priority", "lane"), [("HIGH", "stat"), ("MEDIUM", "routine"), ("LOW", "batch")]
)
def test_the_priority_of_a_step_is_the_lane_of_its_jobs(
    at: Place, manager: Manager, worklist: Worklist, priority: str, lane: str
) -> None:
    at.schedule_tally(manager, UID, priority=priority)
    for _ in range(2):
        at.performer(worklist).round()
    assert [job.lane for job in jobs(at.ledger, Wanted())] == [lane]


def test_a_step_of_several_jobs_tells_how_far_it_is(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID, count="4")
    performer = at.performer(worklist)
    performer.round()
    performer.round()
    first, second, *rest = at.jobs(UID)
    assert len(rest) == 2
    work(first, at.bench)
    work(second, at.bench)
    performer.round()
    item = progress_of(manager)
    assert item.ProcedureStepProgress == 50
    assert item.ProcedureStepProgressDescription == "4 jobs: 2 done, 2 waiting"
    sets = manager.calls.count("set")
    performer.round()
    assert manager.calls.count("set") == sets
    for job in rest:
        work(job, at.bench)
    performer.round()
    assert manager.items[UID].state == "COMPLETED"
    # A tally makes no DICOM object: the sequence is there, and empty.
    assert list(performed_of(manager).OutputInformationSequence) == []


def test_what_is_not_performed_here_is_left_alone(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    manager.create("2.25.5", step([], code=("OTHER", "99SITE", "Other")))
    manager.create("2.25.6", step([], station=("AI2", "99SITE", "Another")))
    manager.create("2.25.7", step([], readiness="UNAVAILABLE"))
    assert at.performer(worklist).round() == 0
    assert {item.state for item in manager.items.values()} == {"SCHEDULED"}
    assert at.items.listed(10) == ()


def test_only_so_many_are_claimed_at_a_time_the_urgent_first(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    for number, priority in enumerate(("LOW", "MEDIUM", "HIGH"), start=1):
        at.schedule_tally(manager, f"2.25.{number}", priority=priority)
    performer = at.performer(worklist, with_settings(claims=2))
    assert performer.round() == 2
    assert performer.round() == 0
    assert [manager.items[f"2.25.{n}"].state for n in (1, 2, 3)] == [
        "SCHEDULED",
        "IN PROGRESS",
        "IN PROGRESS",
    ]


def test_two_performers_race_and_one_gets_each_step(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    other = Place(at.folder, "other.db")
    for number in range(1, 7):
        at.schedule_tally(manager, f"2.25.{number}")
    threads = [Thread(target=place.performer(worklist).round) for place in (at, other, at, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(1, 7):
        uid = f"2.25.{number}"
        assert manager.items[uid].history == ["SCHEDULED", "IN PROGRESS"]
        has = [item for place in (at, other) if (item := place.items.find(uid)) is not None]
        assert len(has) == 1
        assert has[0].state is StepState.IN_PROGRESS
        assert has[0].transaction_uid == manager.items[uid].transaction
    other.ledger.close()


@pytest.mark.parametrize("reached", [False, True])
def test_a_claim_that_a_crash_cut_off_is_settled(
    at: Place, manager: Manager, worklist: Worklist, reached: bool
) -> None:
    at.schedule_tally(manager, UID)
    item = at.items.intend(UID, "ris", None)
    assert item is not None
    if reached:
        worklist.claim(UID, item.transaction_uid)
    at.performer(worklist).round()
    assert at.item(UID).state is StepState.IN_PROGRESS
    assert manager.items[UID].transaction == item.transaction_uid
    finish(at, worklist)
    assert manager.items[UID].history == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]


def test_a_claim_that_another_won_meanwhile_is_forgotten(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    assert at.items.intend(UID, "ris", None) is not None
    worklist.claim(UID, "2.25.999")
    at.performer(worklist).round()
    assert at.items.find(UID) is None
    assert manager.items[UID].transaction == "2.25.999"
    assert manager.items[UID].watchers == {}


def finish(at: Place, worklist: Worklist, uid: str = UID) -> None:
    """Do what is left of a step that is claimed, each round by a performer of its own."""
    at.performer(worklist).round()
    at.work(uid)
    at.performer(worklist).round()


def test_a_crash_between_submission_and_record_submits_the_same_jobs(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    at.performer(worklist).round()
    jobs = at.jobs(UID)
    at.items.assign(UID, [])
    at.performer(worklist).round()
    assert at.jobs(UID) == jobs


def test_a_crash_after_the_end_at_the_worklist_is_seen(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    finish(at, worklist)
    with at.ledger.transaction() as session:
        session.get_one(WorkitemRow, UID).state = "IN PROGRESS"
    at.performer(worklist).round()
    assert at.item(UID).state is StepState.COMPLETED


def test_a_job_that_fails_cancels_the_step_with_its_reason(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    at.performer(worklist).round()
    for path in (at.folder / "in").rglob("*.nii"):
        path.write_bytes(b"altered" * 100)
    assert at.work(UID) == [JobState.FAILED]
    at.performer(worklist).round()
    assert manager.items[UID].state == "CANCELED"
    assert unmet(manager.items[UID].dataset, "CANCELED") == []
    assert reason_of(manager) in ("110521", "110522", "110501")
    assert str(at.jobs(UID)[0]) in progress_of(manager).ReasonForCancellation
    assert at.item(UID).state is StepState.CANCELED


def test_a_new_step_for_a_job_that_had_failed_tries_it_again(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    at.performer(worklist).round()
    (job,) = at.jobs(UID)
    Care(at.ledger).quarantine(job, "set aside")
    at.performer(worklist).round()
    assert manager.items[UID].state == "CANCELED"
    assert reason_of(manager) == "110501"
    again = "2.25.101"
    manager.create(again, _as_new(manager, UID))
    at.performer(worklist).round()
    at.performer(worklist).round()
    assert at.jobs(again) == (job,)
    assert at.state(job) is JobState.WAITING


def _as_new(manager: Manager, uid: str) -> Dataset:
    made = Dataset()
    made.update(manager.items[uid].dataset)
    made.ProcedureStepState = "SCHEDULED"
    return made


def test_inputs_that_no_analysis_takes_cancel_the_step(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    for path in (at.folder / "in").rglob("*.nii"):
        path.write_bytes(b"no image")
    at.performer(worklist).round()
    at.performer(worklist).round()
    assert manager.items[UID].state == "CANCELED"
    assert reason_of(manager) in ("110521", "110522")


def test_inputs_are_waited_for_and_then_given_up(
    at: Place, manager: Manager, worklist: Worklist, sound_study: Path
) -> None:
    at.inputs = InboxInputs(at.items, at.folder / "inbox")
    manager.create(UID, step(inputs_of(sound_study)))
    at.performer(worklist).round()
    at.performer(worklist).round()
    assert progress_of(manager).ProcedureStepProgressDescription == "inputs are waited for"
    assert manager.items[UID].state == "IN PROGRESS"
    at.performer(worklist, with_settings(inputs_s=1e-6)).round()
    assert manager.items[UID].state == "CANCELED"
    assert reason_of(manager) == "110523"


@pytest.mark.parametrize("problem", [PeerUnavailable("away"), PeerRefused("status A702")])
def test_inputs_are_fetched_and_a_fetch_may_fail(
    at: Place, manager: Manager, worklist: Worklist, sound_study: Path, problem: Exception
) -> None:
    asked = []

    def fetch(inputs: object) -> None:
        asked.append(inputs)
        if len(asked) == 1:
            raise problem
        at.receive(sound_study)

    at.inputs = InboxInputs(at.items, at.folder / "inbox", fetch)
    manager.create(UID, step(inputs_of(sound_study)))
    for _ in range(3):
        at.performer(worklist).round()
    if isinstance(problem, PeerRefused):
        assert reason_of(manager) == "110523"
    else:
        assert len(at.jobs(UID)) == 1


def test_a_step_without_inputs_is_given_up(at: Place, manager: Manager, worklist: Worklist) -> None:
    manager.create(UID, step([]))
    at.performer(worklist).round()
    at.performer(worklist).round()
    assert manager.items[UID].state == "CANCELED"
    assert reason_of(manager) == "110523"


def test_a_cancel_request_while_a_job_waits_cancels_both(
    at: Place, manager: Manager, scp: UpsScp, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    with listening(at.ledger, scp):
        at.performer(worklist).round()
        at.performer(worklist).round()
        worklist.request_cancel(UID, "not needed")
        wait_until(lambda: at.item(UID).cancel_requested, 20)
        at.performer(worklist).round()
    (job,) = at.jobs(UID)
    assert at.state(job) is JobState.CANCELLED
    assert manager.items[UID].state == "CANCELED"
    assert reason_of(manager) == "110513"
    assert set(scp.answers) == {0}


def test_a_cancel_request_while_a_job_runs_ends_it(
    at: Place, manager: Manager, scp: UpsScp, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID, steps="2000000000")
    with listening(at.ledger, scp):
        at.performer(worklist).round()
        at.performer(worklist).round()
        (job,) = at.jobs(UID)
        worker = Thread(target=at.work, args=(UID,))
        worker.start()
        wait_until(lambda: at.state(job) is JobState.RUNNING, 30)
        at.performer(worklist).round()
        assert progress_of(manager).ProcedureStepProgress == 50
        worklist.request_cancel(UID, "not needed")
        wait_until(lambda: at.item(UID).cancel_requested, 20)
        at.performer(worklist).round()
        worker.join(60)
        assert at.state(job) is JobState.CANCELLED
        at.performer(worklist).round()
    assert manager.items[UID].state == "CANCELED"
    assert unmet(manager.items[UID].dataset, "CANCELED") == []


def test_a_cancel_request_before_the_inputs_are_there(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    assert at.items.request_cancel(UID) is StepState.IN_PROGRESS
    at.performer(worklist).round()
    assert manager.items[UID].state == "CANCELED"
    assert at.jobs(UID) == ()


def test_a_cancel_request_after_the_work_is_done_is_too_late(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    at.performer(worklist).round()
    at.work(UID)
    at.items.request_cancel(UID)
    at.performer(worklist).round()
    assert manager.items[UID].state == "COMPLETED"


def test_a_reason_to_cancel_in_the_progress_is_one_that_polling_sees(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist, with_settings(events=False)).round()
    at.performer(worklist, with_settings(events=False)).round()
    assert manager.items[UID].watchers == {}
    progress_of(manager).ReasonForCancellation = "the manager keeps it here"
    at.performer(worklist, with_settings(events=False)).round()
    assert manager.items[UID].state == "CANCELED"


@pytest.mark.parametrize("how", ["cancelled", "removed", "taken"])
def test_a_step_that_the_manager_takes_away_stops_its_jobs(
    at: Place, manager: Manager, worklist: Worklist, how: str
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    at.performer(worklist).round()
    if how == "cancelled":
        manager.items[UID].dataset.ProcedureStepState = "CANCELED"
    elif how == "removed":
        manager.remove(UID)
    else:
        manager.items[UID].transaction = "2.25.999"
        at.items.request_cancel(UID)
    at.performer(worklist).round()
    (job,) = at.jobs(UID)
    assert at.state(job) is JobState.CANCELLED
    assert at.item(UID).state is StepState.CANCELED


def test_a_manager_that_goes_away_in_the_middle_is_waited_for(at: Place, manager: Manager) -> None:
    port = free_port()
    at.schedule_tally(manager, UID)
    with UpsScp(manager, port) as scp:
        worklist = DimseWorklist(dimse_node(scp), at.configuration)
        performer = at.performer(worklist)
        performer.round()
        performer.round()
    at.work(UID)
    with pytest.raises(PeerUnavailable):
        performer.round()
    assert at.item(UID).state is StepState.IN_PROGRESS
    with UpsScp(manager, port):
        performer.round()
    assert manager.items[UID].history == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]


def test_a_step_is_completed_once_its_results_are_delivered(
    at: Place, manager: Manager, worklist: Worklist
) -> None:
    settings = with_settings(delivered=("pacs",))
    at.schedule_tally(manager, UID)
    performer = at.performer(worklist, settings)
    performer.round()
    performer.round()
    at.work(UID)
    performer.round()
    item = progress_of(manager)
    assert item.ProcedureStepProgress == 90
    assert item.ProcedureStepProgressDescription == "delivery is waited for: pacs"
    (job,) = at.jobs(UID)
    with at.ledger.transaction() as session:
        session.add(
            DeliveryRow(job_id=job, destination="pacs", state="done", rank=0, created_s=0.0)
        )
    performer.round()
    assert manager.items[UID].state == "COMPLETED"


def test_a_manager_that_asks_for_more_is_told_again_and_again(
    at: Place, manager: Manager, worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    monkeypatch.setattr("tests.support.upsmanager.unmet", lambda *_: ["Something"])
    finish(at, worklist)
    assert at.item(UID).state is StepState.IN_PROGRESS
    assert "requirements of the final state" in str(at.item(UID).reason)
    monkeypatch.undo()
    at.performer(worklist).round()
    assert manager.items[UID].state == "COMPLETED"


def test_nothing_of_the_patient_is_kept_or_logged(
    at: Place, manager: Manager, worklist: Worklist, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    at.schedule_tally(manager, UID)
    at.performer(worklist).round()
    finish(at, worklist)
    with pytest.raises(StepRefused):
        worklist.claim(UID, "2.25.5")
    kept = caplog.text + str(at.items.listed(10)) + str(manager.calls)
    assert "Yamada" not in kept
    assert "PID-1" not in kept
