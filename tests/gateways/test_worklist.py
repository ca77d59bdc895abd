"""A worklist keeps its contract, over DIMSE and over HTTP alike, against a strict manager."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from pipeline.config import Configuration
from pipeline.connections import Node
from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.gateways.ups import DimseWorklist
from pipeline.gateways.upsrs import WebWorklist
from pipeline.gateways.worklist import LOST, Refusal, StepRefused, Wanted, Worklist
from pipeline.steps import Code, StepState
from pipeline.worklist.performed import progress
from tests.support.service import free_port
from tests.support.steps import CODE, STATION, coded, input_item, step
from tests.support.upsmanager import Manager
from tests.support.upsrsserver import UpsRsServer
from tests.support.upsscp import UpsScp

UID, MINE, OTHERS = "2.25.1", "2.25.77", "2.25.78"
INPUT = input_item("2.25.10", "2.25.11", [("1.2.840.10008.5.1.4.1.1.4", "2.25.12")])


@pytest.fixture
def manager() -> Manager:
    made = Manager()
    assert made.create(UID, step([INPUT])) == 0
    return made


@contextmanager
def served(way: str, manager: Manager) -> Iterator[Worklist]:
    settings = Configuration()
    if way == "dimse":
        with UpsScp(manager) as scp:
            node = Node(ae_title="MANAGER", host="127.0.0.1", port=scp.port, timeout_s=10)
            yield DimseWorklist(node, settings)
    else:
        with UpsRsServer(manager) as server:
            yield WebWorklist(Node(url=server.url, timeout_s=10), settings)


@pytest.fixture(params=["dimse", "ups-rs"])
def worklist(request: pytest.FixtureRequest, manager: Manager) -> Iterator[Worklist]:
    with served(request.param, manager) as found:
        yield found


def finished() -> Dataset:
    """Return what a step needs for either final state."""
    changes = progress(100, "done")
    (item,) = changes.ProcedureStepProgressInformationSequence
    item.ProcedureStepCancellationDateTime = "20260101120000"
    item.ProcedureStepDiscontinuationReasonCodeSequence = [coded("110513", "DCM", "Why")]
    performed = Dataset()
    performed.PerformedStationNameCodeSequence = [coded(*STATION)]
    performed.PerformedWorkitemCodeSequence = [coded(*CODE)]
    performed.PerformedProcedureStepStartDateTime = "20260101120000"
    performed.PerformedProcedureStepEndDateTime = "20260101120001"
    performed.OutputInformationSequence = []
    changes.UnifiedProcedureStepPerformedProcedureSequence = [performed]
    return changes


class TestContract:
    def test_a_step_that_waits_is_found_with_its_inputs(self, worklist: Worklist) -> None:
        wanted = Wanted(
            workitem=Code(value=CODE[0], scheme=CODE[1]),
            station=Code(value=STATION[0], scheme=STATION[1]),
        )
        (found,) = worklist.scheduled(wanted)
        assert found == worklist.retrieve(UID)
        assert found.sop_instance_uid == UID
        assert found.state is StepState.SCHEDULED
        assert found.is_ready
        assert found.priority == "MEDIUM"
        assert found.workitem == Code(value=CODE[0], scheme=CODE[1], meaning=CODE[2])
        assert found.study_instance_uid == "2.25.10"
        (reference,) = found.inputs
        assert reference.series_instance_uid == "2.25.11"
        assert reference.sop_instance_uids == ("2.25.12",)
        assert reference.retrieve_ae_titles == ("ARCHIVE",)
        assert not found.has_cancellation

    @pytest.mark.parametrize(
        "wanted",
        [
            Wanted(workitem=Code(value="OTHER", scheme="99SITE")),
            Wanted(workitem=Code(value=CODE[0], scheme="99OTHER")),
            Wanted(station=Code(value="AI2", scheme="99SITE")),
            Wanted(station_class=Code(value="AI", scheme="99SITE")),
        ],
    )
    def test_a_step_of_another_is_not_found(self, worklist: Worklist, wanted: Wanted) -> None:
        assert worklist.scheduled(wanted) == ()

    def test_a_step_whose_inputs_are_not_there_is_not_found(
        self, worklist: Worklist, manager: Manager
    ) -> None:
        manager.create("2.25.2", step([INPUT], readiness="INCOMPLETE"))
        assert [s.sop_instance_uid for s in worklist.scheduled(Wanted())] == [UID]

    def test_one_performer_gets_a_step(self, worklist: Worklist, manager: Manager) -> None:
        worklist.claim(UID, MINE)
        with pytest.raises(StepRefused) as refused:
            worklist.claim(UID, OTHERS)
        assert refused.value.why in (Refusal.TAKEN, Refusal.CONFLICT)
        assert worklist.scheduled(Wanted()) == ()
        assert worklist.retrieve(UID).state is StepState.IN_PROGRESS
        assert manager.items[UID].transaction == MINE

    def test_an_update_tells_whose_a_step_is(self, worklist: Worklist, manager: Manager) -> None:
        worklist.claim(UID, MINE)
        worklist.update(UID, MINE, progress(40, "half done"))
        (item,) = manager.items[UID].dataset.ProcedureStepProgressInformationSequence
        assert (item.ProcedureStepProgress, item.ProcedureStepProgressDescription) == (
            40,
            "half done",
        )
        with pytest.raises(StepRefused) as refused:
            worklist.update(UID, OTHERS, progress(50, "mine"))
        assert refused.value.why is Refusal.NOT_OURS
        assert item.ProcedureStepProgress == 40

    @pytest.mark.parametrize("state", [StepState.COMPLETED, StepState.CANCELED])
    def test_a_step_ends_once_its_requirements_are_met(
        self, worklist: Worklist, manager: Manager, state: StepState
    ) -> None:
        worklist.claim(UID, MINE)
        with pytest.raises(StepRefused) as refused:
            worklist.finish(UID, MINE, state)
        assert refused.value.why in (Refusal.NOT_MET, Refusal.CONFLICT)
        worklist.update(UID, MINE, finished())
        worklist.finish(UID, MINE, state)
        worklist.finish(UID, MINE, state)
        assert worklist.retrieve(UID).state is state
        assert manager.items[UID].history == ["SCHEDULED", "IN PROGRESS", state]
        with pytest.raises(StepRefused) as refused:
            worklist.update(UID, MINE, progress(1, "again"))
        assert refused.value.why in (Refusal.ENDED, Refusal.CONFLICT)

    def test_only_the_performer_ends_a_step(self, worklist: Worklist, manager: Manager) -> None:
        worklist.claim(UID, MINE)
        worklist.update(UID, MINE, finished())
        with pytest.raises(StepRefused) as refused:
            worklist.finish(UID, OTHERS, StepState.COMPLETED)
        assert refused.value.why is Refusal.NOT_OURS
        assert manager.items[UID].state == "IN PROGRESS"

    def test_a_step_that_is_not_there_is_gone(self, worklist: Worklist, manager: Manager) -> None:
        manager.remove(UID)
        for ask in (
            lambda: worklist.retrieve(UID),
            lambda: worklist.claim(UID, MINE),
            lambda: worklist.update(UID, MINE, progress(1, "")),
            lambda: worklist.finish(UID, MINE, StepState.CANCELED),
            lambda: worklist.subscribe(UID, "VESALIUS"),
        ):
            with pytest.raises(StepRefused) as refused:
                ask()
            assert refused.value.why is Refusal.GONE
            assert refused.value.why in LOST

    def test_a_subscription_comes_and_goes(self, worklist: Worklist, manager: Manager) -> None:
        worklist.subscribe(UID, "VESALIUS")
        assert manager.items[UID].watchers == {"VESALIUS": "FALSE"}
        worklist.unsubscribe(UID, "VESALIUS")
        assert manager.items[UID].watchers == {}
        with pytest.raises(PeerRefused):
            worklist.subscribe(UID, "NOBODY")

    def test_a_step_that_waits_is_cancelled_at_once(
        self, worklist: Worklist, manager: Manager
    ) -> None:
        worklist.request_cancel(UID, "not needed")
        assert manager.items[UID].state == "CANCELED"
        with pytest.raises(StepRefused) as refused:
            worklist.claim(UID, MINE)
        assert refused.value.why in (Refusal.ENDED, Refusal.CONFLICT)

    def test_no_message_tells_of_the_patient(self, worklist: Worklist, manager: Manager) -> None:
        worklist.claim(UID, MINE)
        with pytest.raises(StepRefused) as refused:
            worklist.claim(UID, OTHERS)
        assert "Yamada" not in str(refused.value)
        assert "PID" not in str(refused.value)


@pytest.mark.parametrize("way", ["dimse", "ups-rs"])
def test_a_worklist_that_is_away_is_unavailable(way: str) -> None:
    port = free_port()
    node = Node(
        ae_title="MANAGER",
        host="127.0.0.1",
        port=port,
        url=f"http://127.0.0.1:{port}/dicom-web",
        timeout_s=2,
    )
    make = DimseWorklist if way == "dimse" else WebWorklist
    with pytest.raises(PeerUnavailable):
        make(node, Configuration()).scheduled(Wanted())


@pytest.mark.parametrize("way", ["dimse", "ups-rs"])
def test_a_worklist_that_says_nothing_is_unavailable(way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        node = Node(
            ae_title="MANAGER",
            host="127.0.0.1",
            port=port,
            url=f"http://127.0.0.1:{port}/dicom-web",
            timeout_s=0.5,
        )
        make = DimseWorklist if way == "dimse" else WebWorklist
        with pytest.raises(PeerUnavailable):
            make(node, Configuration()).retrieve(UID)


def test_a_token_is_shown_and_needed(manager: Manager, tmp_path: Path) -> None:
    secret = f"open {UID}"
    (tmp_path / "token").write_text(f"{secret}\n")
    with UpsRsServer(manager, token=secret) as server:
        with pytest.raises(PeerRefused, match="401"):
            WebWorklist(Node(url=server.url), Configuration()).scheduled(Wanted())
        node = Node(url=server.url, token=tmp_path / "token")
        assert len(WebWorklist(node, Configuration()).scheduled(Wanted())) == 1


def test_a_manager_that_accepts_no_watch_refuses_to_report(manager: Manager) -> None:
    with UpsScp(manager) as scp:
        del scp._server.contexts[:]
        node = Node(ae_title="MANAGER", host="127.0.0.1", port=scp.port, timeout_s=10)
        with pytest.raises(PeerRefused, match="accepts none"):
            DimseWorklist(node, Configuration()).subscribe(UID, "VESALIUS")
