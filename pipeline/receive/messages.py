"""The few bytes of DIMSE that a C-STORE is made of, read and written without a detour.

References
----------
.. [P8] DICOM PS3.8, 9.3.5 P-DATA-TF PDU, E.2 Message control header.
.. [P7] DICOM PS3.7, 9.3.1 C-STORE protocol, 6.3 Command set.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

P_DATA_TF = 0x04
"""Type of the PDU that carries messages [P8]_."""

PDU_HEADER = 6
"""Length of what comes before the variable part of a PDU [byte]."""

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
"""Command Field (0000,0100) [P7]_."""

NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without a data set."""

LONGEST_COMMENT = 64
"""Longest Error Comment (0000,0902), of VR LO."""

_VALUE = struct.Struct(">LBB")
_ELEMENT = struct.Struct("<HHL")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A presentation data value: a part of the command or the data set of a message [P8]_."""

    context_id: int
    """The presentation context."""

    is_command: bool
    """Whether it is of the command, else of the data set."""

    is_last: bool
    """Whether it is the last of it."""

    content: memoryview
    """The part."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE-RQ [P7]_."""

    message_id: int
    """Message ID (0000,0110)."""

    sop_class_uid: str
    """Affected SOP Class UID (0000,0002)."""

    sop_instance_uid: str
    """Affected SOP Instance UID (0000,1000)."""


def fragments(pdu: bytearray) -> Iterator[Fragment]:
    """Return the presentation data values of a P-DATA-TF PDU [P8]_.

    Raises
    ------
    ValueError
        If their lengths do not add up to the PDU's.
    """
    view = memoryview(pdu)
    at = PDU_HEADER
    while at < len(view):
        if at + _VALUE.size > len(view):
            raise ValueError("a presentation data value is cut off")
        length, context_id, control = _VALUE.unpack_from(view, at)
        end = at + 4 + length
        if length < 2 or end > len(view):
            raise ValueError("a presentation data value is longer than its PDU")
        yield Fragment(
            context_id, bool(control & 1), bool(control & 2), view[at + _VALUE.size : end]
        )
        at = end


def store_request(command: memoryview) -> StoreRequest | None:
    """Return a command as a C-STORE-RQ with a data set; None if it is another, or malformed."""
    values: dict[int, bytes] = {}
    at = 0
    while at + _ELEMENT.size <= len(command):
        group, element, length = _ELEMENT.unpack_from(command, at)
        at += _ELEMENT.size
        if group != 0 or at + length > len(command):
            return None
        values[element] = bytes(command[at : at + length])
        at += length
    try:
        (field,), (message_id,), (data_set,) = (
            struct.unpack("<H", values[element]) for element in (0x0100, 0x0110, 0x0800)
        )
        if field != C_STORE_RQ or data_set == NO_DATA_SET:
            return None
        return StoreRequest(message_id, _uid(values[0x0002]), _uid(values[0x1000]))
    except (KeyError, struct.error, UnicodeDecodeError):
        return None


def store_response(
    context_id: int, request: StoreRequest, status: int, comment: str | None = None
) -> bytes:
    """Return a P-DATA-TF PDU that holds a C-STORE-RSP [P7]_.

    Parameters
    ----------
    context_id
        The presentation context.
    request
        What is answered.
    status
        Status (0000,0900).
    comment
        Error Comment (0000,0902); what is too long of it is left out.
    """
    elements = [
        _element(0x0002, _padded(request.sop_class_uid.encode(), b"\0")),
        _element(0x0100, struct.pack("<H", C_STORE_RSP)),
        _element(0x0120, struct.pack("<H", request.message_id)),
        _element(0x0800, struct.pack("<H", NO_DATA_SET)),
        _element(0x0900, struct.pack("<H", status)),
    ]
    if comment:
        # An escape would begin another character set, and no control character may stand in an LO.
        told = "".join(c if c.isprintable() else "?" for c in comment)
        text = told.encode("ascii", "replace")[:LONGEST_COMMENT]
        elements.append(_element(0x0902, _padded(text, b" ")))
    elements.append(_element(0x1000, _padded(request.sop_instance_uid.encode(), b"\0")))
    body = b"".join(elements)
    command = _element(0x0000, struct.pack("<L", len(body))) + body
    value = _VALUE.pack(len(command) + 2, context_id, 0b11) + command
    return struct.pack(">BBL", P_DATA_TF, 0, len(value)) + value


def _uid(value: bytes) -> str:
    """Return a value of VR UI."""
    return value.rstrip(b"\0 ").decode("ascii")


def _padded(value: bytes, padding: bytes) -> bytes:
    """Return a value of even length."""
    return value + padding * (len(value) % 2)


def _element(element: int, value: bytes) -> bytes:
    """Return an element of group 0, implicit VR little endian."""
    return _ELEMENT.pack(0, element, len(value)) + value
