"""The receiver over TLS: who shows no certificate that is believed has no association."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from pipeline.connections import TlsSettings
from pipeline.gateways.tls import client_context
from tests.support.certificates import Authority, Shown
from tests.support.encoded import instance, write_instance
from tests.support.inboxes import check_whole
from tests.support.rawdimse import RawSender, asked
from tests.support.receiver import Receiver

pytestmark = pytest.mark.service


@dataclass
class Secured:
    """A receiver over TLS, and who is believed by it."""

    receiver: Receiver
    authority: Authority
    friend: Shown
    stranger: Shown

    def context(self, shown: Shown | None) -> ssl.SSLContext:
        """Return how a sender connects that shows a certificate, or none."""
        return client_context(
            TlsSettings(
                certificate=shown and shown.certificate,
                key=shown and shown.key,
                authorities=self.authority.path,
            )
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Return a receiver that asks for certificates of its authority."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    ours, friend = authority.vouch("ours"), authority.vouch("friend")
    stranger = Authority(folder, "other").vouch("stranger")
    tables = (
        f'[tls]\ncertificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
        f'authorities = "{authority.path}"\n'
    )
    with Receiver(folder, tables=tables, tls=True, http_port=0, first_s=3.0) as receiver:
        yield Secured(receiver, authority, friend, stranger)


def echoed(secured: Secured, shown: Shown | None) -> bool:
    """Tell whether who shows a certificate, or none, has an association."""
    try:
        with RawSender(secured.receiver.port, tls=secured.context(shown)) as sender:
            sender.associate()
            sender.release()
    except (OSError, AssertionError):
        return False
    return True


def test_pynetdicom_is_answered(secured: Secured) -> None:
    assert secured.receiver.echoes(tls_args=(secured.context(secured.friend), "localhost"))


def test_who_is_believed_is_answered(secured: Secured) -> None:
    assert echoed(secured, secured.friend)


def test_who_is_not_believed_is_turned_away(secured: Secured) -> None:
    assert not echoed(secured, secured.stranger)
    assert not echoed(secured, None)
    assert echoed(secured, secured.friend)


def test_a_certificate_of_another_authority_is_refused_by_senders(secured: Secured) -> None:
    context = client_context(TlsSettings(authorities=secured.stranger.certificate))
    with pytest.raises(ssl.SSLError):
        RawSender(secured.receiver.port, tls=context)


def test_dcmtk_stores_over_tls(secured: Secured, tmp_path: Path) -> None:
    path = write_instance(tmp_path / "1.dcm", 1)
    done = subprocess.run(
        [
            *(
                "storescu",
                "-aec",
                "VESALIUS",
                "+tls",
                secured.friend.key,
                secured.friend.certificate,
            ),
            *("+cf", secured.authority.path, "127.0.0.1", str(secured.receiver.port), path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + secured.receiver.told()
    with secured.receiver.ledger() as ledger:
        check_whole(ledger, secured.receiver.inbox, ["2.25.1000001"])


def test_data_sets_come_whole_over_tls(secured: Secured) -> None:
    with RawSender(secured.receiver.port, tls=secured.context(secured.friend)) as sender:
        sender.associate()
        for number in range(2, 12):
            data = instance(number, pixels=bytes(range(256)) * (number * 200))
            assert sender.store(data, f"2.25.1{number:06d}", part=20_000) == 0
        sender.release()
    with secured.receiver.ledger() as ledger:
        check_whole(ledger, secured.receiver.inbox, [f"2.25.1{n:06d}" for n in range(2, 12)])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(secured: Secured, version: ssl.TLSVersion) -> None:
    context = secured.context(secured.friend)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawSender(secured.receiver.port, tls=context)


def test_a_plain_request_is_turned_away(secured: Secured) -> None:
    with RawSender(secured.receiver.port, timeout_s=10) as sender:
        sender.socket.sendall(asked())
        assert sender.is_closed()


def test_a_handshake_without_end_keeps_nobody_waiting(secured: Secured) -> None:
    silent = [secured.receiver.connection(15) for _ in range(20)]
    silent[0].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    began = time.monotonic()
    assert echoed(secured, secured.friend)
    assert time.monotonic() - began < 2.5
    for one in silent:
        # An alert, or nothing.
        while one.recv(1024):
            pass
        one.close()
    assert time.monotonic() - began < 8.0


def test_a_handshake_in_drips_is_not_waited_for(secured: Secured) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = secured.context(secured.friend).wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    began = time.monotonic()
    with secured.receiver.connection(0.2) as connection:
        for byte in outgoing.read():
            try:
                connection.sendall(bytes([byte]))
                if not connection.recv(1):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
            finally:
                assert time.monotonic() - began < 6.0
    assert time.monotonic() - began > 1.0


def test_stow_is_served_over_tls(secured: Secured) -> None:
    url = f"https://localhost:{secured.receiver.http_port}/studies"
    friend, trusted = secured.friend, str(secured.authority.path)
    shown = (str(friend.certificate), str(friend.key))
    told = requests.post(url, data=b"", verify=trusted, cert=shown, timeout=20)
    assert told.status_code == 415
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        requests.post(url, data=b"", verify=trusted, timeout=20)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url.replace("https", "http"), data=b"", timeout=20)


def test_a_plain_socket_on_its_web_port_harms_nobody(secured: Secured) -> None:
    with socket.create_connection(("127.0.0.1", secured.receiver.http_port), 10) as plain:
        plain.sendall(b"POST /studies HTTP/1.1\r\n\r\n")
        while plain.recv(1024):
            pass
    test_stow_is_served_over_tls(secured)


def test_what_went_wrong_is_told_without_a_trace(secured: Secured) -> None:
    test_who_is_not_believed_is_turned_away(secured)
    told = secured.receiver.told()
    assert "could not be secured" in told
    assert "Traceback" not in told
