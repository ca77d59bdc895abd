"""Instances out of a body of HTTP, one after the other, none of them held as a whole.

References
----------
.. [M] RFC 2046, 5.1, multipart; DICOM PS3.18, 8.6.1.2.
.. [F] DICOM PS3.10, 7.1, file meta information.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from itertools import chain

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Value representations whose length has four bytes (PS3.5, 7.1.2)."""

LARGEST_META = 1 << 20
"""File meta information that is longer is none [byte]."""

CLASS_UID, INSTANCE_UID, TRANSFER_SYNTAX_UID = 0x0002, 0x0003, 0x0010
"""Elements of group 0002."""

Event = tuple[str, bytes]
"""What the parser came across."""


class NotMultipart(ValueError):
    """A body that is no multipart of DICOM files."""


class BrokenOff(ValueError):
    """A body that ends before its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """An instance as it comes."""

    sop_class_uid: str
    """What it is, as its sender says."""

    sop_instance_uid: str
    """Its UID, as its sender says."""

    transfer_syntax_uid: str
    """How it is encoded."""

    chunks: Iterator[bytes]
    """The data set, without the file's meta information; read it before the next instance."""


def instances(body: Iterable[bytes], content_type: str) -> Iterator[Encoded]:
    """Return the instances of a body; one that is no multipart is one instance.

    Parameters
    ----------
    body
        The body, in chunks.
    content_type
        What the answer says that it is.

    Raises
    ------
    NotMultipart
        If it is not what it says.
    BrokenOff
        If it ends before its end.
    """
    for chunks in parts(body, content_type):
        yield instance(chunks)


def parts(body: Iterable[bytes], content_type: str) -> Iterator[Iterator[bytes]]:
    """Return the files of a body, each as chunks to be read before the next; as ``instances``.

    Raises
    ------
    NotMultipart
        If it is not what it says.
    BrokenOff
        If it ends before its end.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":
        yield iter(body)
        return
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        raise NotMultipart
    events = _events(body, boundary)
    for kind, _ in events:
        if kind == "begin":
            chunks = _part(events)
            yield chunks
            for _ in chunks:
                pass


def _part(events: Iterator[Event]) -> Iterator[bytes]:
    """Return the content of a part."""
    for kind, data in events:
        if kind == "end":
            return
        yield data


def _events(body: Iterable[bytes], boundary: str) -> Iterator[Event]:
    """Return what a body consists of [M]_."""
    happened: list[Event] = []
    is_whole = False

    def ended() -> None:
        nonlocal is_whole
        is_whole = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": lambda: happened.append(("begin", b"")),
                "on_part_data": lambda data, start, end: happened.append(
                    ("data", bytes(data[start:end]))
                ),
                "on_part_end": lambda: happened.append(("end", b"")),
                "on_end": ended,
            },
        )
        for chunk in body:
            parser.write(chunk)
            yield from happened
            happened.clear()
    except FormParserError:
        raise NotMultipart from None
    if not is_whole:
        raise BrokenOff


def instance(chunks: Iterator[bytes]) -> Encoded:
    """Return the data set of a DICOM file, whose meta information is read [F]_.

    Raises
    ------
    NotMultipart
        If it is no such file.
    """
    head = bytearray()
    for chunk in chunks:
        head += chunk
        uids, end = _meta(head)
        if end is not None:
            break
        if len(head) > LARGEST_META:
            raise NotMultipart
    else:
        raise NotMultipart
    if not all(uids.get(one) for one in (CLASS_UID, INSTANCE_UID, TRANSFER_SYNTAX_UID)):
        raise NotMultipart
    return Encoded(
        sop_class_uid=uids[CLASS_UID],
        sop_instance_uid=uids[INSTANCE_UID],
        transfer_syntax_uid=uids[TRANSFER_SYNTAX_UID],
        chunks=chain((bytes(head[end:]),), chunks),
    )


def _meta(head: bytearray) -> tuple[dict[int, str], int | None]:
    """Return the UIDs, and where the data set begins; None if that is not there yet."""
    if len(head) >= 132 and head[128:132] != b"DICM":
        raise NotMultipart
    at = 132
    uids: dict[int, str] = {}
    while len(head) >= at + 12:
        group, element, kind = struct.unpack_from("<HH2s", head, at)
        if group != 2:
            return uids, at
        is_long = kind in LONG
        (length,) = struct.unpack_from("<I" if is_long else "<H", head, at + (8 if is_long else 6))
        start = at + (12 if is_long else 8)
        if kind == b"UI":
            uids[element] = head[start : start + length].decode("ascii", "replace").strip("\0 ")
        at = start + length
    return uids, None
