"""STOW-RS through its door: with requests, with dicomweb-client, and by hand."""

import hashlib
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from tests.support.archives import NAMES, data_set, write_named
from tests.support.encoded import DEFLATED, EXPLICIT, IMPLICIT, MR, instance, meta
from tests.support.inboxes import check_whole, files, instances
from tests.support.receiver import Receiver
from tests.support.service import wait_until

pytestmark = pytest.mark.service

TOKEN = "a token that nobody knows"  # noqa: S105 - the test's own
KIND = 'multipart/related; type="application/dicom"; boundary=EDGE'


BEGUN = (
    f"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\nContent-Type: {KIND}\r\n".encode()
)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a receiver of little patience, open to all."""
    folder = tmp_path_factory.mktemp("impatient")
    with Receiver(folder, http_port=0, first_s=1.5, silent_s=2.5) as started:
        wait_until(lambda: is_up(started), 30, started.told)
        yield started
        assert "Traceback" not in started.told()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a receiver whose clients show a token."""
    folder = tmp_path_factory.mktemp("stow")
    (folder / "token").write_text(TOKEN + "\n")
    settings = {"http_token": str(folder / "token"), "largest_mib": 64}
    with Receiver(folder, http_port=0, **settings) as started:
        wait_until(lambda: is_up(started), 30, started.told)
        yield started


def is_up(receiver: Receiver) -> bool:
    """Tell whether it answers."""
    try:
        requests.get(f"http://127.0.0.1:{receiver.http_port}/", timeout=5)
    except requests.exceptions.ConnectionError:
        return False
    return True


def file(number: int, syntax: str = EXPLICIT, study: int = 1, **more: Any) -> bytes:
    """Return a DICOM file."""
    data = instance(number, syntax=syntax, study=study, **more)
    return meta(f"2.25.1{number:06d}", syntax) + data


def body(parts: Sequence[bytes]) -> bytes:
    """Return parts as a body."""
    head = b"--EDGE\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--EDGE--\r\n"


def posted(
    receiver: Receiver,
    content: bytes,
    *,
    study: str | None = None,
    kind: str = KIND,
    token: str | None = TOKEN,
) -> requests.Response:
    """Post a body."""
    path = "/studies" + (f"/{study}" if study else "")
    shown = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.post(
        f"http://127.0.0.1:{receiver.http_port}{path}",
        data=content,
        headers={"Content-Type": kind, "Accept": "application/dicom+json", **shown},
        timeout=60,
    )


def stored(answer: requests.Response) -> list[str]:
    """Return the instances that an answer says are stored."""
    items = answer.json().get("00081199", {}).get("Value", [])
    return [item["00081155"]["Value"][0] for item in items]


def refused(answer: requests.Response) -> dict[str, int]:
    """Return the reasons of the instances that an answer says are not."""
    items = answer.json().get("00081198", {}).get("Value", [])
    return {item["00081155"]["Value"][0]: item["00081197"]["Value"][0] for item in items}


def check_kept(receiver: Receiver, numbers: Sequence[int]) -> None:
    with receiver.ledger() as ledger:
        check_whole(ledger, receiver.inbox, [f"2.25.1{number:06d}" for number in numbers])
    assert not files(receiver.inbox, "incoming")


def is_kept(receiver: Receiver, number: int) -> bool:
    with receiver.ledger() as ledger:
        return f"2.25.1{number:06d}" in {row.sop_instance_uid for row in instances(ledger)}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
def test_one_instance(receiver: Receiver, syntax: str) -> None:
    number = 1 + [EXPLICIT, IMPLICIT, DEFLATED].index(syntax)
    answer = posted(receiver, body([file(number, syntax)]))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert stored(answer) == [f"2.25.1{number:06d}"]
    assert answer.json()["00081199"]["Value"][0]["00081150"]["Value"] == [MR]
    check_kept(receiver, [number])
    with receiver.ledger() as ledger:
        (row,) = (r for r in instances(ledger) if r.sop_instance_uid == f"2.25.1{number:06d}")
    assert row.sender == "stow-rs"
    assert data_set(receiver.inbox / row.relative_path) == instance(number, syntax=syntax)


def test_many_instances(receiver: Receiver) -> None:
    numbers = range(100, 150)
    answer = posted(receiver, body([file(number) for number in numbers]))
    assert answer.status_code == 200
    assert stored(answer) == [f"2.25.1{number:06d}" for number in numbers]
    check_kept(receiver, numbers)


def test_a_single_file_without_parts(receiver: Receiver) -> None:
    answer = posted(receiver, file(160), kind="application/dicom")
    assert (answer.status_code, stored(answer)) == (200, ["2.25.1000160"])
    check_kept(receiver, [160])


@pytest.mark.parametrize(
    "bad",
    [
        b"no DICOM at all",
        b"",
        meta("2.25.9", EXPLICIT),
        meta("2.25.9", EXPLICIT) + b"\xff" * 50,
        file(8).replace(b"1.2.840.10008.1.2.1\0", b"no transfer syntax\xff\xff"),
        meta("2.25.9", EXPLICIT).replace(b"2.25.9", b"\xff\xfe.\xff\xff\xff"),
        meta("2.25.9", EXPLICIT)[:140],
        bytes(5 << 20),
    ],
)
def test_a_bad_part_stops_no_other(receiver: Receiver, bad: bytes) -> None:
    number = 200 + len(bad) % 97
    answer = posted(receiver, body([file(number), bad, file(number + 100)]))
    assert answer.status_code == 202
    assert stored(answer) == [f"2.25.1{number:06d}", f"2.25.1{number + 100:06d}"]
    told = answer.json()
    assert len(refused(answer)) + len(told.get("0008119A", {}).get("Value", [])) == 1
    check_kept(receiver, [number, number + 100])


def test_nothing_but_bad_parts(receiver: Receiver) -> None:
    answer = posted(receiver, body([b"no DICOM", meta("2.25.9", EXPLICIT) + b"no data set"]))
    assert answer.status_code == 409
    assert answer.json() == {
        "0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}] * 2}
    }


def test_a_study_that_is_asked_for_is_checked(receiver: Receiver) -> None:
    answer = posted(receiver, body([file(400), file(401, study=7)]), study="2.25.2000007")
    assert answer.status_code == 202
    assert stored(answer) == ["2.25.1000401"]
    assert refused(answer) == {"2.25.1000400": 0xA900}
    assert not is_kept(receiver, 400)
    assert posted(receiver, body([file(402)]), study="no-uid").status_code == 400


@pytest.mark.parametrize("token", [None, "another", "", TOKEN[:-1], "ä€"])
def test_without_the_token_nothing_is_stored(receiver: Receiver, token: str | None) -> None:
    shown = token if token is None else token.encode().decode("latin-1")
    answer = posted(receiver, body([file(410)]), token=shown)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not is_kept(receiver, 410)


@pytest.mark.parametrize(
    "kind", ["application/json", "", "multipart/related", "multipart/form-data; boundary=EDGE"]
)
def test_a_body_of_another_type_is_refused(receiver: Receiver, kind: str) -> None:
    assert posted(receiver, body([file(420)]), kind=kind).status_code == 415
    assert not is_kept(receiver, 420)


def test_a_body_that_is_no_multipart_is_refused(receiver: Receiver) -> None:
    assert posted(receiver, b"nothing of the kind").status_code == 415


def test_a_body_that_ends_early_keeps_what_was_whole(receiver: Receiver) -> None:
    whole = body([file(430), file(431, pixels=bytes(300_000))])
    head = (
        f"POST /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: {KIND}\r\nContent-Length: {len(whole)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", receiver.http_port), 20) as connection:
        connection.sendall(head + whole[:-200_000])
        wait_until(lambda: is_kept(receiver, 430), 20, receiver.told)
    wait_until(lambda: not files(receiver.inbox, "incoming"), 20, receiver.told)
    check_kept(receiver, [430])
    assert not is_kept(receiver, 431)
    # The same, but in good order: the last boundary is missing.
    answer = posted(receiver, whole[:-200_000])
    assert answer.status_code == 202
    assert stored(answer) == ["2.25.1000430"]
    assert not is_kept(receiver, 431)


def test_an_instance_may_be_too_large(receiver: Receiver) -> None:
    large = file(440, pixels=bytes(65 << 20))
    before = receiver.memory()
    answer = posted(receiver, body([large, file(441)]))
    assert answer.status_code == 202
    assert refused(answer) == {"2.25.1000440": 0xC000}
    assert stored(answer) == ["2.25.1000441"]
    assert receiver.memory() - before < 64 << 20


def test_a_duplicate_is_stored_and_another_one_is_not(receiver: Receiver) -> None:
    for _ in range(2):
        assert posted(receiver, body([file(450)])).status_code == 200
    answer = posted(receiver, body([file(450, pixels=b"another ")]))
    assert answer.status_code == 409
    assert refused(answer) == {"2.25.1000450": 0x0111}
    check_kept(receiver, [450])


def test_without_space_the_client_is_told_to_come_again(tmp_path: Path) -> None:
    with Receiver(tmp_path, http_port=0, free_mib=1 << 40) as receiver:
        wait_until(lambda: is_up(receiver), 30, receiver.told)
        answer = posted(receiver, body([file(1), file(2)]), token=None)
        assert answer.status_code == 503
        assert set(refused(answer).values()) == {0xA700}
        assert not files(receiver.inbox)


@pytest.mark.parametrize("name", list(NAMES))
def test_dicomweb_client_stores(receiver: Receiver, tmp_path: Path, name: str) -> None:
    uid = f"2.25.77{list(NAMES).index(name)}"
    path, study = write_named(tmp_path, name, SOPInstanceUID=uid)
    client = DICOMwebClient(
        f"http://127.0.0.1:{receiver.http_port}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    told = client.store_instances([dcmread(path)], study_instance_uid=study)
    assert [str(i.ReferencedSOPInstanceUID) for i in told.ReferencedSOPSequence] == [uid]
    with receiver.ledger() as ledger:
        (row,) = (r for r in instances(ledger) if r.sop_instance_uid == uid)
    assert NAMES[name][1] in (receiver.inbox / row.relative_path).read_bytes()


def test_it_ends_while_a_client_is_silent(tmp_path: Path) -> None:
    with Receiver(tmp_path, http_port=0) as receiver:
        wait_until(lambda: is_up(receiver), 30, receiver.told)
        with socket.create_connection(("127.0.0.1", receiver.http_port), 20) as silent:
            silent.sendall(
                f"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\n".encode()
            )
            began = time.monotonic()
            assert receiver.stop() == 0
            assert time.monotonic() - began < 22.0


def test_a_digest_is_that_of_the_data_set(receiver: Receiver) -> None:
    posted(receiver, body([file(460)]))
    with receiver.ledger() as ledger:
        (row,) = (r for r in instances(ledger) if r.sop_instance_uid == "2.25.1000460")
    assert row.sha256 == hashlib.sha256(instance(460)).hexdigest()
