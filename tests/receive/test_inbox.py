"""What is kept is on disk and in the ledger, once, as it came."""

import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from pydicom import dcmread

from pipeline.connections import ReceiveSettings
from pipeline.errors import UnreadableFile
from pipeline.ledger.arrivals import Arrivals
from pipeline.ledger.exchange import ArrivalState
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reception import Standing
from pipeline.receive.inbox import Inbox, NoSpace, OtherInstance, TooLarge
from pipeline.receive.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.support.archives import data_set
from tests.support.encoded import BIG, DEFLATED, EXPLICIT, IMPLICIT, MR, Element, instance
from tests.support.inboxes import (
    arrivals,
    begun,
    check_whole,
    files,
    instances,
    offer,
    received,
    suspects,
)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_a_file_holds_the_bytes_that_came(inbox: Inbox, ledger: Ledger, syntax: str) -> None:
    data = instance(1, syntax=syntax)
    kept = received(inbox, data, transfer_syntax_uid=syntax)
    assert kept.standing is Standing.NEW
    path = inbox.root / kept.instance.relative_path
    assert path.read_bytes().endswith(data)
    assert data_set(path) == data
    read = dcmread(path)
    assert read.PixelData == bytes(range(8))
    assert read.SOPInstanceUID == "2.25.1000001"
    assert files(inbox.root) == [path]
    (row,) = instances(ledger)
    assert row.sha256 == hashlib.sha256(data).hexdigest()
    assert (row.size, row.relative_path) == (len(data), str(kept.instance.relative_path))
    assert (row.transfer_syntax_uid, row.sender) == (syntax, "c-store TEST")


def test_meta_information_is_right(inbox: Inbox) -> None:
    kept = received(inbox, instance())
    path = inbox.root / kept.instance.relative_path
    meta = dcmread(path).file_meta
    assert meta.MediaStorageSOPClassUID == MR
    assert meta.MediaStorageSOPInstanceUID == "2.25.1000001"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.FileMetaInformationVersion == b"\0\1"
    shown = subprocess.run(["dcmdump", "-q", path], check=True, capture_output=True, text=True)
    assert "(0020,000e) UI [2.25.3000001]" in shown.stdout
    assert not shown.stderr


def test_names_of_files_say_nothing_of_a_sender(inbox: Inbox) -> None:
    received(inbox, instance())
    assert not any("2.25" in str(path.relative_to(inbox.root)) for path in files(inbox.root))
    assert all(path.stat().st_mode & 0o077 == 0 for path in files(inbox.root))


def test_the_same_bytes_again_change_nothing(inbox: Inbox, ledger: Ledger) -> None:
    received(inbox, instance())
    taken(ledger)
    (before,), (path,) = arrivals(ledger), files(inbox.root)
    content = path.read_bytes()
    kept = received(inbox, instance(), sender="c-store OTHER")
    assert kept.standing is Standing.SAME
    assert files(inbox.root) == [path]
    assert path.read_bytes() == content
    assert [row.sender for row in instances(ledger)] == ["c-store TEST"]
    (after,) = arrivals(ledger)
    assert (after.state, after.last_at) == ("taken", before.last_at)


def taken(ledger: Ledger) -> None:
    """Take the only study for whole."""
    known = Arrivals(ledger)
    (seen,) = known.listed()
    with ledger.transaction() as session:
        assert known.take(session, seen, "the test says so")


def test_a_late_instance_opens_its_study_again(inbox: Inbox, ledger: Ledger) -> None:
    received(inbox, instance(1))
    received(inbox, instance(2), 2)
    taken(ledger)
    received(inbox, instance(3), 3)
    (seen,) = Arrivals(ledger).listed()
    assert (seen.state, seen.revision, seen.n_instances) == (ArrivalState.ARRIVING, 1, 3)
    assert seen.why == "late instances have come"
    taken(ledger)
    assert Arrivals(ledger).listed()[0].revision == 2


def test_other_bytes_under_one_uid_are_set_aside(inbox: Inbox, ledger: Ledger) -> None:
    first = received(inbox, instance(pixels=b"first   "))
    other = instance(pixels=b"another ")
    for _ in range(2):
        kept = received(inbox, other)
        assert kept.standing is Standing.OTHER
        apart = inbox.root / kept.instance.relative_path
        assert apart.parent == inbox.root / "suspects"
        assert data_set(apart) == other
        assert data_set(inbox.root / first.instance.relative_path) == instance(pixels=b"first   ")
        (row,) = suspects(ledger)
        assert row.relative_path == str(kept.instance.relative_path)
        assert row.sop_instance_uid == "2.25.1000001"
        assert len(files(inbox.root)) == 2
    check_whole(ledger, inbox.root, ["2.25.1000001"])
    assert len(instances(ledger)) == 1


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG])
def test_the_same_data_set_in_another_transfer_syntax_is_the_same(
    inbox: Inbox, ledger: Ledger, syntax: str
) -> None:
    # US, so that explicit big endian has another order.
    number = Element(0x00280010, "US", b"\x02\0")
    turned = Element(0x00280010, "US", b"\0\x02" if syntax == BIG else b"\x02\0")
    pixels = bytes(8)
    first = received(inbox, instance(1, number, pixels=pixels))
    again = instance(1, turned, pixels=pixels, syntax=syntax)
    kept = received(inbox, again, transfer_syntax_uid=syntax)
    assert kept.standing is Standing.SAME
    assert files(inbox.root) == [inbox.root / first.instance.relative_path]
    assert not suspects(ledger)
    assert [row.transfer_syntax_uid for row in instances(ledger)] == [EXPLICIT]


@pytest.mark.parametrize(
    ("announced", "what"),
    [
        ({"sop_instance_uid": "2.25.9"}, "SOP Instance UID"),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, "SOP Class UID"),
        ({"study_instance_uid": "2.25.9"}, "Study Instance UID"),
    ],
)
def test_what_was_not_announced_is_refused(
    inbox: Inbox, ledger: Ledger, announced: dict[str, str], what: str
) -> None:
    with pytest.raises(OtherInstance, match=what):
        received(inbox, instance(), **announced)
    assert not files(inbox.root)
    assert not instances(ledger)
    assert received(inbox, instance(), study_instance_uid="2.25.2000001").standing is Standing.NEW


def test_what_is_no_data_set_is_refused(inbox: Inbox, ledger: Ledger) -> None:
    for data in (b"", b"no data set", instance()[:40], b"\xff" * (2 << 20), bytes(1 << 25)):
        with pytest.raises(UnreadableFile):
            received(inbox, data)
    assert not files(inbox.root)
    assert not instances(ledger)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
@pytest.mark.parametrize("length", [65_000, 70_000, 1_040_000, 5_000_000])
def test_what_a_manufacturer_puts_before_the_uids_may_be_long(
    inbox: Inbox, ledger: Ledger, length: int, syntax: str
) -> None:
    long = Element(0x00191008, "OB", bytes(length))
    data = instance(1, long, syntax=syntax, pixels=bytes(200_000))
    incoming = begun(inbox, data, part=4096, transfer_syntax_uid=syntax)
    assert incoming.keep().standing is Standing.NEW
    check_whole(ledger, inbox.root, ["2.25.1000001"])
    with pytest.raises(OtherInstance):
        received(inbox, data, 2, transfer_syntax_uid=syntax)


def test_what_is_given_up_leaves_nothing(inbox: Inbox, ledger: Ledger) -> None:
    incoming = begun(inbox, instance()[:50])
    assert len(files(inbox.root, "incoming")) == 1
    incoming.discard()
    incoming.discard()
    assert not files(inbox.root)
    assert not instances(ledger)


def test_an_instance_may_be_too_large(ledger: Ledger, tmp_path: Path) -> None:
    settings = ReceiveSettings(free_mib=0, largest_mib=1)
    inbox = Inbox.open(tmp_path / "inbox", ledger, settings)
    incoming = inbox.receive(offer())
    data = instance(pixels=bytes(1 << 20))
    incoming.write(data[: 1 << 20])
    with pytest.raises(TooLarge):
        incoming.write(data[1 << 20 :])
    incoming.discard()
    assert not files(inbox.root)


def test_space_stays_free(ledger: Ledger, tmp_path: Path) -> None:
    settings = ReceiveSettings(free_mib=1 << 40)
    inbox = Inbox.open(tmp_path / "inbox", ledger, settings)
    with pytest.raises(NoSpace, match="are to stay so"):
        inbox.receive(offer())
    assert not files(inbox.root)


def test_many_threads_put_each_instance_once(inbox: Inbox, ledger: Ledger) -> None:
    numbers = range(1, 161)

    def put(number: int) -> Standing:
        return received(inbox, instance(number, study=number % 3), number).standing

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(put, numbers)) == {Standing.NEW}
    check_whole(ledger, inbox.root, [f"2.25.1{number:06d}" for number in numbers])
    assert len(files(inbox.root)) == len(instances(ledger)) == 160
    assert [seen.n_instances for seen in Arrivals(ledger).listed()].count(0) == 0
    assert len(arrivals(ledger)) == 3


def test_the_same_instance_by_many_at_once_is_one(inbox: Inbox, ledger: Ledger) -> None:
    together = Barrier(20)

    def put(sender: int) -> list[Standing]:
        found = []
        for number in range(1, 6):
            pixels = b"another " if sender == 7 else b"the same"
            together.wait(30)
            found.append(received(inbox, instance(number, pixels=pixels), number).standing)
        return found

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(put, range(20)))
    for number, standings in enumerate(zip(*told, strict=True), 1):
        same, other = standings.count(Standing.SAME), standings.count(Standing.OTHER)
        assert standings.count(Standing.NEW) == 1
        # The odd one may have come first; then all others are suspect.
        assert (same, other) in ((18, 1), (0, 19)), number
    assert len(instances(ledger)) == len(suspects(ledger)) == 5
    assert len(files(inbox.root, "studies")) == len(files(inbox.root, "suspects")) == 5
    check_whole(ledger, inbox.root, [f"2.25.1{number:06d}" for number in range(1, 6)])


def test_two_forms_by_many_at_once_are_one(inbox: Inbox, ledger: Ledger) -> None:
    together = Barrier(12)

    def put(sender: int) -> list[Standing]:
        found = []
        for number in range(1, 6):
            syntax = (EXPLICIT, IMPLICIT, BIG)[sender % 3]
            data = instance(number, syntax=syntax, pixels=bytes(8))
            together.wait(30)
            found.append(received(inbox, data, number, transfer_syntax_uid=syntax).standing)
        return found

    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(put, range(12)))
    for standings in zip(*told, strict=True):
        assert standings.count(Standing.NEW) == 1
        assert standings.count(Standing.SAME) == 11
    assert len(files(inbox.root)) == len(instances(ledger)) == 5
    check_whole(ledger, inbox.root, [])


def test_several_inboxes_over_one_folder_agree(place: str, tmp_path: Path) -> None:
    # As processes have it: each with its own committer and its own connection.
    settings = ReceiveSettings(free_mib=0)
    together = Barrier(8)

    def put(sender: int) -> list[Standing]:
        found = []
        with Ledger.open(place) as own:
            inbox = Inbox.open(tmp_path / "inbox", own, settings)
            for number in range(1, 11):
                together.wait(30)
                found.append(received(inbox, instance(number), number).standing)
        return found

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(put, range(8)))
    for standings in zip(*told, strict=True):
        assert standings.count(Standing.NEW) == 1
        assert standings.count(Standing.SAME) == 7
    with Ledger.open(place) as ledger:
        check_whole(ledger, tmp_path / "inbox", [f"2.25.1{n:06d}" for n in range(1, 11)])
    assert len(files(tmp_path / "inbox")) == 10


def test_offers_with_uids_that_are_none_are_refused(inbox: Inbox, ledger: Ledger) -> None:
    for wrong in ("", "1.2.\ufffd", "1" * 70_000):
        for name in ("sop_class_uid", "sop_instance_uid", "transfer_syntax_uid"):
            with pytest.raises(UnreadableFile):
                inbox.receive(replace(offer(), **{name: wrong}))
    assert not files(inbox.root)
