"""Messages in whatever pieces a sender has cut them into are the same messages."""

from collections.abc import Iterator

import pytest

from tests.support.encoded import instance
from tests.support.inboxes import check_whole
from tests.support.rawdimse import COMMAND, LAST, RawSender, parts, store_command, value
from tests.support.receiver import Receiver

pytestmark = pytest.mark.service

WHOLE = COMMAND | LAST


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a receiver."""
    with Receiver(tmp_path_factory.mktemp("pieces")) as started:
        yield started


def is_recorded(receiver: Receiver, number: int) -> bool:
    """Tell whether an instance is recorded, and its file whole."""
    with receiver.ledger() as ledger:
        check_whole(ledger, receiver.inbox, [f"2.25.1{number:06d}"])
    return True


def test_a_command_in_pieces_is_understood(receiver: Receiver) -> None:
    command = store_command("2.25.1000010")
    data = instance(10, pixels=bytes(200_000))
    with RawSender(receiver.port) as sender:
        sender.associate()
        for start in range(0, len(command), 20):
            is_last = start + 20 >= len(command)
            sender.send(value(command[start : start + 20], COMMAND | (LAST if is_last else 0)))
        for content, flags in parts(data, 50_000):
            sender.send(value(content, flags))
        assert sender.status() == 0
        # And what comes after it goes straight on.
        assert sender.store(instance(11), "2.25.1000011") == 0
        sender.release()
    assert is_recorded(receiver, 10)
    assert is_recorded(receiver, 11)


def test_a_data_set_in_pieces_of_a_byte_is_understood(receiver: Receiver) -> None:
    data = instance(12, pixels=bytes(100))
    with RawSender(receiver.port) as sender:
        sender.associate()
        sender.begin("2.25.1000012")
        for content, flags in parts(data, 1):
            sender.send(value(content, flags))
        assert sender.status() == 0
        sender.begin("2.25.1000013")
        pieces = [value(content, flags) for content, flags in parts(instance(13), 1)]
        sender.send(value(b"", 0), *pieces[:-1], value(b"", 0), pieces[-1])
        assert sender.status() == 0
        sender.release()
    assert is_recorded(receiver, 12)
    assert is_recorded(receiver, 13)


def test_command_and_data_set_in_one_pdu_are_understood(receiver: Receiver) -> None:
    with RawSender(receiver.port) as sender:
        sender.associate()
        sender.send(value(store_command("2.25.1000014"), WHOLE), value(instance(14), LAST))
        assert sender.status() == 0
        sender.send(value(store_command("2.25.1000015"), WHOLE), value(instance(15)[:50], 0))
        sender.send(value(instance(15)[50:], LAST))
        assert sender.status() == 0
        sender.release()
    assert is_recorded(receiver, 14)
    assert is_recorded(receiver, 15)
