"""The audit log reaches a syslog server in order, and nothing is lost while the server is away."""

import re
import sqlite3
import threading
from pathlib import Path

import pytest

from pipeline.connections import TlsSettings
from pipeline.errors import PeerUnavailable, UnusableCall
from pipeline.gateways.syslog import framed, parse_syslog
from pipeline.gateways.tls import client_context
from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger
from tests.support.certificates import Authority
from tests.support.service import wait_until
from tests.support.syslogserver import SyslogServer
from workers import forwarder as module
from workers.forwarder import Forwarder, _alert


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@pytest.fixture
def server(tmp_path: Path, authority: Authority):
    made = SyslogServer(tmp_path, authority)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(str(tmp_path / "ledger.db")) as opened:
        yield opened


def forwarder_to(server: SyslogServer, authority: Authority, ledger: Ledger) -> Forwarder:
    shown = authority.vouch("client")
    tls = TlsSettings(certificate=shown.certificate, key=shown.key, authorities=authority.path)
    return Forwarder(ledger, server.url, client_context(tls))


def happen(ledger: Ledger, *numbers: int) -> None:
    for number in numbers:
        record(ledger, Audited(action="login", actor="anna", subject=f"account a{number}"))


def accounts(server: SyslogServer) -> list[int]:
    """Return which events the server has, in order."""
    return [
        int(match.group(1))
        for message in server.messages()
        if (match := re.search(r'ParticipantObjectID="a(\d+)"', message))
    ]


def test_events_come_in_order_once_and_in_their_frames(
    server: SyslogServer, authority: Authority, ledger: Ledger
) -> None:
    forwarder = forwarder_to(server, authority, ledger)
    happen(ledger, *range(30))
    assert forwarder.once() == (30, None)
    assert accounts(server) == list(range(30))
    assert re.match(
        r"<85>1 \d{4}-\d\d-\d\dT[0-9:.]+Z \S+ vesalius \d+ DICOM\+RFC3881 - \ufeff<AuditMessage>",
        server.messages()[0],
    )
    assert forwarder.once() == (0, None)
    happen(ledger, 30)
    # Another process goes on where the first one stopped.
    assert forwarder_to(server, authority, ledger).once() == (1, None)
    assert accounts(server) == list(range(31))


def test_nothing_is_lost_while_the_server_is_killed_and_away(
    tmp_path: Path, authority: Authority, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY_S", 0.1)
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(module, "AT_ONCE", 10)
    server, ending = SyslogServer(tmp_path, authority), threading.Event()
    happen(ledger, *range(25))
    forwarder = forwarder_to(server, authority, ledger)
    with pytest.raises(PeerUnavailable, match="syslog localhost"):
        forwarder.once()
    sending = threading.Thread(target=forwarder.run, args=(ending,))
    sending.start()
    try:
        # It dies in the middle of the second batch.
        server.start(dies_after=14)
        wait_until(lambda: len(accounts(server)) == 14, 30)
        happen(ledger, *range(25, 30))
        server.start()
        wait_until(lambda: accounts(server)[-1:] == [29], 30)
    finally:
        ending.set()
        sending.join(30)
        server.kill()
    got = accounts(server)
    assert sorted(set(got)) == list(range(30))
    assert list(dict.fromkeys(got)) == list(range(30)), "in order, some twice"
    assert len(got) < 45


def test_a_server_that_nobody_vouches_for_gets_nothing(
    server: SyslogServer, authority: Authority, ledger: Ledger, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other", "stranger")
    shown = authority.vouch("client")
    tls = TlsSettings(certificate=shown.certificate, key=shown.key, authorities=stranger.path)
    happen(ledger, 1)
    with pytest.raises(PeerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        Forwarder(ledger, server.url, client_context(tls)).once()
    assert server.messages() == []


def test_a_client_that_shows_no_certificate_is_refused_and_sends_again(
    server: SyslogServer, authority: Authority, ledger: Ledger
) -> None:
    happen(ledger, 1)
    tls = TlsSettings(authorities=authority.path)
    with pytest.raises(PeerUnavailable):
        Forwarder(ledger, server.url, client_context(tls)).once()
    assert forwarder_to(server, authority, ledger).once() == (1, None)


def test_a_log_that_was_changed_is_told_and_not_sent(
    server: SyslogServer, authority: Authority, ledger: Ledger, tmp_path: Path
) -> None:
    happen(ledger, 1, 2, 3)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("DROP TRIGGER audit_events_update")
        connection.execute("UPDATE audit_events SET actor = 'nobody' WHERE number = 2")
    count, fault = forwarder_to(server, authority, ledger).once()
    assert (count, fault) == (1, "event 2 was changed")
    assert accounts(server) == [1]
    assert 'csd-code="110113"' in server.messages()[-1]
    assert server.messages()[-1].startswith("<84>")


def test_a_frame_says_its_length_in_bytes() -> None:
    frame = framed(_alert("größer"))
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message)


@pytest.mark.parametrize(
    "url", ["udp://h:1", "tls://", "h:1", "tls://h:x", "tls://u:p@h", "tls://h/p"]
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(UnusableCall, match=r"audit\.syslog is no"):
        parse_syslog(url)
    assert parse_syslog("tls://h") == ("h", 6514)
