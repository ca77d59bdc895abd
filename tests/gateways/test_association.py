"""An association is opened, watched and ended; what a peer does wrong is told by its kind."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.sop_class import (
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from pipeline.config import Configuration
from pipeline.connections import Node, ReceiveSettings
from pipeline.errors import PeerRefused, PeerUnavailable, UnusableCall
from pipeline.gateways.association import associate, echo
from tests.support.dimsepeers import node_at, raw_server, served
from tests.support.service import free_port

SETTINGS = Configuration(receive=ReceiveSettings(ae_title="US"))
FIND = StudyRootQueryRetrieveInformationModelFind
ECHO = [build_context(Verification)]


def test_a_node_that_answers_is_called_by_its_titles_without_delay() -> None:
    seen = []

    def accepted(event: evt.Event) -> None:
        asked = event.assoc.requestor.primitive
        seen.append((asked.calling_ae_title, asked.called_ae_title, asked.maximum_length_received))

    with served(handlers=[(evt.EVT_ACCEPTED, accepted)]) as port:
        assert 0 < echo(node_at(port), SETTINGS) < 3
        echo(node_at(port, calling="OTHER"), SETTINGS)
        with associate(node_at(port), ECHO, SETTINGS) as association:
            wire = association.dul.socket.socket
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert seen[0] == ("US", "PEER", 131072)
    assert seen[1] == ("OTHER", "PEER", 131072)


def test_nobody_there() -> None:
    port = free_port()
    with pytest.raises(PeerUnavailable, match=f"PEER at 127.0.0.1:{port}: no connection"):
        echo(node_at(port), SETTINGS)


def test_a_host_without_address() -> None:
    with pytest.raises(PeerUnavailable, match=r"nowhere.invalid:104: "):
        echo(Node(ae_title="PEER", host="nowhere.invalid"), SETTINGS)


def test_a_node_of_dicomweb_only() -> None:
    with pytest.raises(UnusableCall, match="DICOMweb only"):
        echo(Node(url="http://127.0.0.1/dicom-web"), SETTINGS)


def test_a_wrong_title_is_refused_for_good() -> None:
    with (
        served(prepare=lambda entity: setattr(entity, "require_called_aet", True)) as port,
        pytest.raises(PeerRefused, match="Called AE title not recognised"),
    ):
        echo(node_at(port, ae_title="WRONG"), SETTINGS)


def test_a_busy_peer_is_tried_again() -> None:
    with (
        served(prepare=lambda entity: setattr(entity, "maximum_associations", 1)) as port,
        associate(node_at(port), ECHO, SETTINGS),
        pytest.raises(PeerUnavailable, match="Local limit exceeded"),
    ):
        echo(node_at(port), SETTINGS)


def test_a_peer_that_accepts_nothing_refuses() -> None:
    with (
        served() as port,
        pytest.raises(PeerRefused, match="none of what is asked for: MR Image Storage"),
        associate(node_at(port), [build_context(MRImageStorage)], SETTINGS),
    ):
        pass


def silent(_: socket.socket) -> None:
    """Take a connection and say nothing."""


def half(connection: socket.socket) -> None:
    """Answer with the head of an A-ASSOCIATE-AC and a part of its body, and no more."""
    connection.recv(65536)
    connection.sendall(b"\x02\x00\x00\x00\x10\x00" + bytes(30))


@pytest.mark.parametrize("peer", [silent, half])
def test_a_peer_that_hangs_is_left_after_its_time(peer: Callable[[socket.socket], None]) -> None:
    began = time.monotonic()
    with raw_server(peer) as port, pytest.raises(PeerUnavailable, match=r"silent for 0\.5 s"):
        echo(node_at(port, timeout_s=0.5), SETTINGS)
    assert time.monotonic() - began < 5


def test_a_peer_that_hangs_at_an_operation_is_left_after_its_time() -> None:
    def hang(_: evt.Event) -> int:
        time.sleep(2)
        return 0

    began = time.monotonic()
    with (
        served(handlers=[(evt.EVT_C_ECHO, hang)]) as port,
        pytest.raises(PeerUnavailable, match=r"silent for 0\.5 s"),
    ):
        echo(node_at(port, timeout_s=0.5), SETTINGS)
    assert time.monotonic() - began < 5


def test_a_peer_that_aborts_is_tried_again() -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort(block=False)
        return 0

    with (
        served(handlers=[(evt.EVT_C_ECHO, abort)]) as port,
        pytest.raises(PeerUnavailable, match="ended"),
    ):
        echo(node_at(port), SETTINGS)


def close(connection: socket.socket) -> None:
    """Take a connection and close it."""
    connection.close()


def test_a_peer_that_closes_is_tried_again() -> None:
    with raw_server(close) as port, pytest.raises(PeerUnavailable, match="without an answer"):
        echo(node_at(port), SETTINGS)


def test_what_the_caller_raises_aborts_the_association_and_passes() -> None:
    ends = []

    def ended(event: evt.Event) -> None:
        ends.append(event.event.name)

    with served(handlers=[(evt.EVT_ABORTED, ended), (evt.EVT_RELEASED, ended)]) as port:
        with associate(node_at(port), ECHO, SETTINGS) as association:
            association.send_c_echo()
        with (
            pytest.raises(KeyError),
            associate(node_at(port), ECHO, SETTINGS) as association,
        ):
            raise KeyError
        deadline = time.monotonic() + 5
        while len(ends) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ends == ["EVT_RELEASED", "EVT_ABORTED"]


class Late(threading.Event):
    """An event that whoever waits for it hears of late, as on a busy machine."""

    def wait(self, timeout: float | None = None) -> bool:
        heard = super().wait(timeout)
        threading.Event().wait(0.02)
        return heard


def test_no_answer_is_lost_between_operations_on_a_busy_machine() -> None:
    # pynetdicom's reactor takes an answer off the queue if it wakes late, and drops it.
    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for _ in range(3):
            yield 0xFF00, event.identifier
        yield 0, None

    def slow(event: evt.Event) -> None:
        checkpoint = Late()
        checkpoint.set()
        event.assoc._reactor_checkpoint = checkpoint

    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", "1.2"
    with (
        served([FIND], [(evt.EVT_C_FIND, find)]) as port,
        associate(
            node_at(port),
            [build_context(FIND)],
            SETTINGS,
            handlers=[(evt.EVT_CONN_OPEN, slow)],
        ) as association,
    ):
        numbers = []
        for _ in range(10):
            answers = association.send_c_find(asked, FIND)
            # Time for all to come, and for the reactor to wake.
            threading.Event().wait(0.1)
            numbers.append(len(list(answers)))
    assert numbers == [4] * 10
