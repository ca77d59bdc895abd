"""Senders that break off, send too much, too slowly or nothing: none of them harms another."""

import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.encoded import EXPLICIT, MR, instance
from tests.support.inboxes import check_whole, files, instances
from tests.support.rawdimse import (
    ABORT,
    ABORTED,
    ASSOCIATE_AC,
    ASSOCIATE_RQ,
    COMMAND,
    DATA,
    LAST,
    RELEASE_RQ,
    RawSender,
    asked,
    pdu,
    store_command,
    value,
)
from tests.support.receiver import Receiver
from tests.support.service import wait_until

pytestmark = pytest.mark.service

MIB = 1 << 20
GIB = 1 << 30
WHOLE = COMMAND | LAST


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a receiver of little patience."""
    folder = tmp_path_factory.mktemp("limits")
    with Receiver(folder, first_s=1.5, silent_s=5.0, associations_each=60) as started:
        yield started


@pytest.fixture(autouse=True)
def sound(receiver: Receiver) -> Iterator[None]:
    """Check after each test that the receiver is well, and that nothing is left behind."""
    yield
    began = time.monotonic()
    assert receiver.echoes(), receiver.told()
    assert time.monotonic() - began < 2.0
    wait_until(lambda: not files(receiver.inbox, "incoming"), 10, receiver.told)
    wait_until(lambda: threads(receiver) < 8, 15, receiver.told)
    assert not [
        line for line in receiver.told().splitlines() if "Traceback" in line or "failed (" in line
    ]


def threads(receiver: Receiver) -> int:
    """Return how many threads its processes have."""
    return sum(member.num_threads() for member in receiver.members())


def is_recorded(receiver: Receiver, number: int) -> bool:
    """Tell whether an instance is recorded; its file must be whole then."""
    with receiver.ledger() as ledger:
        check_whole(ledger, receiver.inbox, [])
        return f"2.25.1{number:06d}" in {row.sop_instance_uid for row in instances(ledger)}


def refuses(sender: RawSender, content: bytes, times: int) -> bool:
    """Tell whether a connection is ended while something is sent so often."""
    try:
        for _ in range(times):
            sender.socket.sendall(content)
    except ConnectionError:
        return True
    return False


def closed_within(sender: RawSender, seconds: float) -> None:
    """Check that the receiver ends a connection in time."""
    began = time.monotonic()
    assert sender.is_closed()
    assert time.monotonic() - began < seconds


def test_a_pdu_of_4_gigabytes_before_an_association_is_not_waited_for(receiver: Receiver) -> None:
    before = receiver.memory()
    with ExitStack() as held:
        for _ in range(4):
            sender = held.enter_context(RawSender(receiver.port))
            sender.socket.sendall(struct.pack(">BBL", ASSOCIATE_RQ, 0, 0xFFFFFFFF))
            assert refuses(sender, bytes(MIB), 64)
            assert receiver.memory() - before < 32 * MIB


@pytest.mark.parametrize("length", [0xFFFFFFFF, 200_000])
def test_a_pdu_longer_than_told_ends_the_association(receiver: Receiver, length: int) -> None:
    before = receiver.memory()
    with RawSender(receiver.port) as sender:
        sender.associate()
        assert sender.longest == 131072
        sender.begin("2.25.1000001")
        sender.socket.sendall(struct.pack(">BBL", DATA, 0, length) + bytes(1000))
        closed_within(sender, 5)
    assert receiver.memory() - before < 32 * MIB
    assert not is_recorded(receiver, 1)


def test_http_on_the_port_is_refused(receiver: Receiver) -> None:
    with RawSender(receiver.port) as sender:
        sender.socket.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        closed_within(sender, 3)


def test_the_silent_keep_nobody_from_an_answer(receiver: Receiver) -> None:
    with ExitStack() as held:
        silent = [held.enter_context(receiver.connection()) for _ in range(50)]
        began = time.monotonic()
        assert receiver.echoes()
        assert time.monotonic() - began < 2.0
        for one in silent:
            one.settimeout(10)
            assert one.recv(1024)[:1] in (b"", bytes([ABORT]))
        assert time.monotonic() - began < 8.0


def dripped(sender: RawSender, content: bytes, seconds: float) -> bool:
    """Send bytes one by one; tell whether the receiver has ended the connection in time."""
    until = time.monotonic() + seconds
    sender.socket.settimeout(0.1)
    for byte in content:
        try:
            sender.socket.sendall(bytes([byte]))
            if sender.socket.recv(1)[:1] in (b"", bytes([ABORT])):
                return True
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        if time.monotonic() > until:
            return False
    return False


def test_who_drips_a_request_is_not_waited_for(receiver: Receiver) -> None:
    with RawSender(receiver.port) as sender:
        assert dripped(sender, asked(), 3.0)


def test_who_drips_a_message_is_not_waited_for(receiver: Receiver) -> None:
    with RawSender(receiver.port) as sender:
        sender.associate()
        assert dripped(sender, pdu(DATA, value(store_command("2.25.1000002"), WHOLE)), 8.0)


@pytest.mark.parametrize("n_bytes", [1, 3, 6, 40])
def test_half_a_request_is_not_waited_for(receiver: Receiver, n_bytes: int) -> None:
    with RawSender(receiver.port) as sender:
        sender.socket.sendall(asked()[:n_bytes])
        closed_within(sender, 3)


@pytest.mark.parametrize("n_bytes", [1, 3, 6, 40])
def test_half_a_message_is_not_waited_for(receiver: Receiver, n_bytes: int) -> None:
    with RawSender(receiver.port) as sender:
        sender.associate()
        sender.begin("2.25.1000003")
        sender.socket.sendall(pdu(DATA, value(instance(3), LAST))[:n_bytes])
        closed_within(sender, 8)
    assert not is_recorded(receiver, 3)


def test_an_association_that_is_silent_is_ended(receiver: Receiver) -> None:
    with RawSender(receiver.port) as sender:
        sender.associate()
        assert sender.store(instance(4), "2.25.1000004") == 0
        closed_within(sender, 8)


def aborts(sender: RawSender) -> None:
    sender.socket.sendall(ABORTED)


def hangs_up(sender: RawSender) -> None:
    sender.socket.close()


def resets(sender: RawSender) -> None:
    sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.socket.close()


def releases(sender: RawSender) -> None:
    sender.socket.sendall(pdu(RELEASE_RQ, bytes(4)))
    sender.is_closed()


def begins_another(sender: RawSender) -> None:
    sender.send(value(store_command("2.25.1000006"), WHOLE))
    assert sender.is_closed()


def changes_its_context(sender: RawSender) -> None:
    sender.send(value(bytes(100), LAST, 3))
    assert sender.is_closed()


def sends_nonsense(sender: RawSender) -> None:
    sender.socket.sendall(pdu(9, bytes(20)))
    assert sender.is_closed()


def sends_a_broken_value(sender: RawSender) -> None:
    sender.socket.sendall(pdu(DATA, struct.pack(">LBB", 99, 1, 0)))
    assert sender.is_closed()


def sends_a_broken_abort(sender: RawSender) -> None:
    sender.socket.sendall(pdu(ABORT, b""))
    assert sender.is_closed()


@pytest.mark.parametrize(
    "breaks_off",
    [
        aborts,
        hangs_up,
        resets,
        releases,
        begins_another,
        changes_its_context,
        sends_nonsense,
        sends_a_broken_value,
        sends_a_broken_abort,
    ],
)
def test_a_data_set_that_is_broken_off_leaves_nothing(
    receiver: Receiver, breaks_off: Callable[[RawSender], None]
) -> None:
    data = instance(5, pixels=bytes(300_000))
    with RawSender(receiver.port, timeout_s=10) as sender:
        sender.associate(((MR, EXPLICIT), (MR, EXPLICIT)))
        sender.begin("2.25.1000005")
        sender.send(value(data[:100_000], 0))
        sender.send(value(data[100_000:], 0))
        breaks_off(sender)
    wait_until(lambda: not files(receiver.inbox, "incoming"), 8, receiver.told)
    assert not is_recorded(receiver, 5)


def test_a_command_without_end_is_not_collected(receiver: Receiver) -> None:
    before = receiver.memory()
    with RawSender(receiver.port) as sender:
        sender.associate()
        assert refuses(sender, pdu(DATA, value(bytes(100_000), COMMAND)), 2000)
    assert receiver.memory() - before < 96 * MIB


def test_a_data_set_that_goes_the_librarys_way_is_bounded(receiver: Receiver) -> None:
    before = receiver.memory()
    # Without its message id a C-STORE is none that is taken before the library.
    command = store_command("2.25.1000016").replace(b"\x10\x01", b"\x11\x01")
    with RawSender(receiver.port) as sender:
        sender.associate()
        sender.send(value(command, WHOLE))
        assert refuses(sender, pdu(DATA, value(bytes(130_000), 0)), 2000)
    assert receiver.memory() - before < 96 * MIB
    assert not is_recorded(receiver, 16)


def send_and_end(sender: RawSender, content: bytes) -> None:
    """Send bytes, and wait until the receiver is done with them; it may have closed before."""
    with suppress(OSError):
        sender.socket.sendall(content)
        sender.socket.shutdown(socket.SHUT_WR)
        sender.is_closed()


def test_nonsense_harms_nobody(receiver: Receiver) -> None:
    chance = random.Random(6)
    for _ in range(60):
        with RawSender(receiver.port, timeout_s=10) as sender:
            if chance.random() < 0.7:
                sender.associate()
            kind = chance.choice((*range(1, 8), 4, 4, 200))
            content = chance.randbytes(chance.randrange(120))
            if kind == DATA and chance.random() < 0.7:
                content = value(content, chance.randrange(4), chance.choice((1, 3, 0)))
            send_and_end(sender, pdu(kind, content))


def test_changed_commands_harm_nobody(receiver: Receiver) -> None:
    chance = random.Random(8)
    whole = store_command("2.25.1000017")
    for _ in range(60):
        command = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            command[chance.randrange(12, len(command))] = chance.randrange(256)
        with RawSender(receiver.port, timeout_s=10) as sender:
            sender.associate()
            sender.send(value(bytes(command), WHOLE))
            send_and_end(sender, pdu(DATA, value(instance(17), LAST)))


def test_changed_requests_harm_nobody(receiver: Receiver) -> None:
    chance = random.Random(7)
    whole = asked()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            content[chance.randrange(6, len(content))] = chance.randrange(256)
        with RawSender(receiver.port, timeout_s=10) as sender:
            send_and_end(sender, bytes(content))


def test_one_address_has_so_many_associations(tmp_path: Path) -> None:
    with Receiver(tmp_path, associations_each=3) as receiver, ExitStack() as held:
        for _ in range(3):
            held.enter_context(RawSender(receiver.port)).associate()
        fourth = held.enter_context(RawSender(receiver.port, timeout_s=10))
        with pytest.raises((AssertionError, ConnectionError)):
            fourth.associate()
        other = socket.create_connection(
            ("127.0.0.1", receiver.port), 10, source_address=("127.0.0.2", 0)
        )
        with other:
            other.sendall(asked())
            assert other.recv(1) == bytes([ASSOCIATE_AC])


@pytest.mark.timeout(240)
def test_a_large_instance_takes_no_memory(receiver: Receiver) -> None:
    length = GIB
    head = instance(20, pixels=b"")[:-12]
    head += struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, length)
    part = bytes(131072 - 6)
    with RawSender(receiver.port, timeout_s=60) as sender:
        sender.associate()
        assert sender.store(instance(19), "2.25.1000019") == 0
        before = peak = receiver.memory()
        began = time.monotonic()
        sender.begin("2.25.1000020")
        sender.send(value(head, 0))
        for start in range(0, length, len(part)):
            left = length - start
            sender.send(value(part[:left], LAST if left <= len(part) else 0))
            if start % (64 * len(part)) == 0:
                peak = max(peak, receiver.memory())
                if time.monotonic() - began > 120:
                    pytest.skip("the disk is too slow")
        assert sender.status() == 0
        sender.release()
    assert peak - before < 32 * MIB
