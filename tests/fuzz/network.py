"""What comes over the network: bodies of STOW-RS, PDUs of DIMSE, and the data sets in both."""

import struct
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import PipelineError, UnreadableFile
from pipeline.gateways.multipart import BrokenOff, NotMultipart, instance, parts
from pipeline.receive.encoded import offered
from pipeline.receive.glance import Look, glance
from pipeline.receive.messages import fragments, store_request, store_response
from tests.fuzz.target import Target
from tests.support.encoded import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Item, meta
from tests.support.encoded import instance as data_set
from tests.support.rawdimse import COMMAND, DATA, LAST, pdu, store_command, value

KIND = 'multipart/related; type="application/dicom"; boundary=EDGE'
SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED)
PIECE = 61
"""Length of the pieces that bodies and data sets come in [byte]: none of them falls on an end."""


def pieces(content: bytes) -> Iterator[bytes]:
    """Return content in pieces."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


def read_body(content: bytes, _: Path) -> None:
    """Read a body, whose first line is its content type."""
    kind, _, body = content.partition(b"\n")
    try:
        for chunks in parts(pieces(body), kind.decode("latin-1")):
            try:
                _, rest = offered(instance(chunks), "stow-rs")
                for _ in rest:
                    pass
            except (NotMultipart, UnreadableFile):
                continue
    except (NotMultipart, BrokenOff):
        return


def bodies(_: Path) -> list[bytes]:
    """Return bodies of one instance, of two, and one that is no multipart."""
    files = [meta(f"2.25.100000{n}", EXPLICIT) + data_set(n) for n in (1, 2)]
    part = b"--EDGE\r\nContent-Type: application/dicom\r\n\r\n"
    kind = KIND.encode() + b"\n"
    return [
        kind + part + files[0] + b"\r\n--EDGE--\r\n",
        kind + part + files[0] + b"\r\n" + part + files[1] + b"\r\n--EDGE--",
        b"application/dicom\n" + files[0],
    ]


def read_pdus(content: bytes, _: Path) -> None:
    """Read PDUs as the receiver does: commands, then what they announce."""
    at, command = 0, bytearray()
    while at + 6 <= len(content):
        (length,) = struct.unpack_from(">L", content, at + 2)
        one = bytearray(content[at : at + 6 + length])
        at += 6 + length
        try:
            for part in fragments(one):
                if part.is_command:
                    command += part.content
                if part.is_last and part.is_command:
                    request = store_request(memoryview(command))
                    if request is not None:
                        store_response(part.context_id, request, 0xC000, "no \xe4nswer")
        except ValueError:
            return


def pdus(_: Path) -> list[bytes]:
    """Return C-STOREs in one PDU and in two."""
    announced, content = store_command("2.25.1000001"), data_set(1)
    return [
        pdu(DATA, value(announced, COMMAND | LAST) + value(content, LAST)),
        pdu(DATA, value(announced, COMMAND | LAST)) + pdu(DATA, value(content, LAST)),
        pdu(DATA, value(announced[:30], COMMAND)) + pdu(DATA, value(announced[30:], 3)),
    ]


def read_beginning(content: bytes, _: Path) -> None:
    """Look at a data set, whole and in pieces: both must say the same, to the end."""
    syntax = SYNTAXES[content[0] % len(SYNTAXES)] if content else EXPLICIT
    body = content[1:]
    look = Look(syntax)
    try:
        whole = glance(body, syntax)
    except PipelineError:
        whole = None
    try:
        for piece in pieces(body):
            look.take(piece)
        in_pieces = look.end()
    except PipelineError:
        in_pieces = None
    if whole != in_pieces:
        raise AssertionError("whole and in pieces, a data set says two things")


def beginnings(_: Path) -> list[bytes]:
    """Return data sets in each transfer syntax, one with sequences."""
    nested = Element(
        0x00081140,
        "SQ",
        [Item([Element(0x00081150, "UI", b"1.2\0")], is_defined=False), Item([])],
        is_defined=False,
    )
    return [
        bytes((number,)) + data_set(1, *more, syntax=syntax)
        for number, syntax in enumerate(SYNTAXES)
        for more in ((), (nested,))
    ]


TARGETS = {
    "stow": Target(read=read_body, seeds=bodies, longest=8192),
    "pdu": Target(read=read_pdus, seeds=pdus, longest=4096, n_tried=5000),
    "glance": Target(read=read_beginning, seeds=beginnings, longest=4096, n_tried=3000),
}
