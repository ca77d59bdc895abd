"""The few messages that are read and written here are those that pynetdicom writes and reads."""

from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from pipeline.receive.messages import (
    Fragment,
    StoreRequest,
    fragments,
    store_request,
    store_response,
)

UIDS = st.from_regex(r"\A[12](\.(0|[1-9][0-9]{0,9})){1,5}\Z")
NUMBERS = st.integers(0, 0xFFFF)


def to_pdu(values: list[tuple[int, bytes]]) -> bytearray:
    """Return the PDU that pynetdicom writes for presentation data values."""
    primitive = P_DATA()
    primitive.presentation_data_value_list = [list(value) for value in values]
    pdu = P_DATA_TF()
    pdu.from_primitive(primitive)
    return bytearray(pdu.encode())


def written(primitive: C_STORE | C_ECHO, message: DIMSEMessage, longest: int) -> list[Fragment]:
    """Return the fragments of a message as pynetdicom splits and writes it."""
    message.primitive_to_message(primitive)
    found = []
    for data in message.encode_msg(1, longest):
        pdu = to_pdu([tuple(value) for value in data.presentation_data_value_list])
        found += list(fragments(pdu))
    return found


def joined(parts: list[Fragment]) -> bytes:
    return b"".join(part.content for part in parts)


@settings(deadline=None)
@given(UIDS, UIDS, NUMBERS, st.binary(min_size=1, max_size=500), st.integers(14, 200))
def test_a_request_of_pynetdicom_is_read(
    sop_class: str, uid: str, number: int, data: bytes, longest: int
) -> None:
    primitive = C_STORE()
    primitive.MessageID = number
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = sop_class, uid
    primitive.Priority, primitive.DataSet = 2, BytesIO(data)
    parts = written(primitive, C_STORE_RQ(), longest)
    command = [part for part in parts if part.is_command]
    data_set = [part for part in parts if not part.is_command]
    assert [part.is_last for part in command] == [False] * (len(command) - 1) + [True]
    assert [part.is_last for part in data_set] == [False] * (len(data_set) - 1) + [True]
    assert store_request(memoryview(joined(command))) == StoreRequest(number, sop_class, uid)
    assert joined(data_set) == data


@given(
    UIDS,
    UIDS,
    NUMBERS,
    st.sampled_from([0x0000, 0x0111, 0xA700, 0xA900, 0xC000]),
    st.none() | st.text(max_size=90),
)
@example("1.2", "1.2", 1, 0xC000, "an escape \x1b and a line\n")
def test_a_response_is_read_by_pynetdicom(
    sop_class: str, uid: str, number: int, status: int, comment: str | None
) -> None:
    request = StoreRequest(number, sop_class, uid)
    content = store_response(7, request, status, comment)
    pdu = P_DATA_TF()
    pdu.decode(content)
    assert bytearray(content) == pdu.encode()
    message = C_STORE_RSP()
    assert message.decode_msg(pdu.to_primitive())
    assert message.context_id == 7
    primitive = message.message_to_primitive()
    assert isinstance(primitive, C_STORE)
    assert primitive.MessageIDBeingRespondedTo == number
    assert primitive.AffectedSOPClassUID == sop_class
    assert primitive.AffectedSOPInstanceUID == uid
    assert primitive.Status == status
    told = str(message.command_set.get("ErrorComment", ""))
    assert len(told) <= 64
    assert told.isprintable()
    if comment and comment.isascii() and comment.isprintable():
        assert told == comment[:64].rstrip()


@given(UIDS, UIDS, NUMBERS)
def test_a_response_has_the_bytes_of_pynetdicoms(sop_class: str, uid: str, number: int) -> None:
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = number
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = sop_class, uid
    primitive.Status = 0
    message = C_STORE_RSP()
    message.primitive_to_message(primitive)
    (data,) = message.encode_msg(1, 16384)
    theirs = to_pdu([tuple(value) for value in data.presentation_data_value_list])
    assert store_response(1, StoreRequest(number, sop_class, uid), 0) == theirs


@given(
    st.lists(st.tuples(st.integers(0, 127), st.integers(0, 3), st.binary(max_size=60)), min_size=1)
)
def test_values_of_any_split_are_read(values: list[tuple[int, int, bytes]]) -> None:
    pdu = to_pdu([(2 * number + 1, bytes([flags]) + data) for number, flags, data in values])
    assert [
        (part.context_id, part.is_command, part.is_last, bytes(part.content))
        for part in fragments(pdu)
    ] == [(2 * n + 1, bool(flags & 1), bool(flags & 2), data) for n, flags, data in values]


@given(st.binary(max_size=100))
def test_values_that_do_not_add_up_are_refused(content: bytes) -> None:
    pdu = bytearray(b"\x04\0" + len(content).to_bytes(4, "big") + content)
    try:
        parts = list(fragments(pdu))
    except ValueError:
        return
    assert sum(6 + len(part.content) for part in parts) == len(content)


@given(st.binary(max_size=200))
def test_a_command_of_anything_is_no_request(command: bytes) -> None:
    assert store_request(memoryview(command)) is None


def test_other_messages_are_no_requests() -> None:
    echo = C_ECHO()
    echo.MessageID = 1
    (part,) = written(echo, C_ECHO_RQ(), 16384)
    assert store_request(part.content) is None


def test_a_request_that_is_cut_is_none() -> None:
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 1, 0
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = "1.2.3", "1.2.3.4"
    primitive.DataSet = BytesIO(b"1234")
    command, _ = written(primitive, C_STORE_RQ(), 16384)
    for end in range(len(command.content)):
        assert store_request(command.content[:end]) is None


def test_a_request_without_a_data_set_is_left_to_the_library() -> None:
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 1, 0
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = "1.2.3", "1.2.3.4"
    parts = written(primitive, C_STORE_RQ(), 16384)
    assert all(part.is_command for part in parts)
    assert store_request(memoryview(joined(parts))) is None


def test_values_shorter_than_their_header_are_refused() -> None:
    with pytest.raises(ValueError, match="longer than its PDU"):
        list(fragments(bytearray(b"\x04\0\0\0\0\x06\0\0\0\x01\x01\x03")))
