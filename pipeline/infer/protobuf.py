"""The skeleton of a protocol buffer: the fields of a message, without a schema.

https://protobuf.dev/programming-guides/encoding/. Nothing is copied, and nothing is allocated for a
length that a file claims.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import BundleRejected

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""


def fields(path: Path, content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the fields of a message: their number, and their bytes or their integer.

    Raises
    ------
    BundleRejected
        If it is no message: with the file's name.
    """
    at = 0
    while at < len(content):
        tag, at = varint(path, content, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = varint(path, content, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = varint(path, content, at)
        elif kind in (FIXED32, FIXED64):
            length = 8 if kind == FIXED64 else 4
        else:
            raise BundleRejected(f"{path}: not an ONNX file, wire type {kind} at byte {at}")
        if at + length > len(content):
            raise BundleRejected(f"{path}: cut short")
        yield number, content[at : at + length]
        at += length


def varint(path: Path, content: memoryview, at: int) -> tuple[int, int]:
    """Read a variable-length integer; return it and where the next field starts.

    Raises
    ------
    BundleRejected
        If there is none.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise BundleRejected(f"{path}: cut short")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BundleRejected(f"{path}: not an ONNX file, an integer of more than ten bytes at {at}")


def signed(value: int) -> int:
    """Return an integer of 64 bits as one that may be negative."""
    return value - 2**64 if value >= 2**63 else value


def integers(path: Path, values: list[memoryview | int]) -> list[int]:
    """Return a repeated field of 64-bit integers, packed or not.

    Raises
    ------
    BundleRejected
        If it is none.
    """
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(signed(value))
            continue
        at = 0
        while at < len(value):
            number, at = varint(path, value, at)
            found.append(signed(number))
    return found
