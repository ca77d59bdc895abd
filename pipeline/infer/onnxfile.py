"""What an ONNX file may contain, checked on its bytes before any runtime sees them.

An ONNX file is a protocol buffer. This reads only its skeleton (onnx.proto of ONNX IR 10): nodes
with the domain of their operators, and where tensors keep their data. Two things are refused:
operators outside the standard, which would need foreign code, and tensors whose data lie in another
file, which a digest of this file does not cover. Nothing else is judged here; the runtime checks
the graph itself.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import BundleRejected

STANDARD_DOMAINS = frozenset({b"", b"ai.onnx"})
"""Operator domains that ONNX Runtime implements without custom code."""

DEEPEST_NESTING = 24
"""Messages inside messages: a graph within a branch of a loop of a graph needs ten."""

# Which fields of a message hold messages that are looked into, and of which kind.
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NODE_DOMAIN, _EXTERNAL_DATA, _DATA_LOCATION, _MODEL_GRAPH = 7, 13, 14, 7

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_onnx(path: Path, content: bytes) -> None:
    """Check that a model stands alone and uses standard operators only.

    Parameters
    ----------
    path
        Names the file in messages.
    content
        Its bytes.

    Raises
    ------
    BundleRejected
        If it is no ONNX file, keeps data in another file, or uses a foreign operator.
    """
    fields = [number for number, _ in _fields(path, memoryview(content))]
    if _MODEL_GRAPH not in fields:
        raise BundleRejected(f"{path}: not an ONNX file, it has no graph")
    _check_message(path, "model", memoryview(content), 0)


def _check_message(path: Path, kind: str, content: memoryview, depth: int) -> None:
    """Check one message and those inside it."""
    if depth > DEEPEST_NESTING:
        raise BundleRejected(f"{path}: nested more than {DEEPEST_NESTING} deep")
    for number, value in _fields(path, content):
        if kind == "tensor":
            _check_tensor_field(path, number, value)
        elif kind == "node" and number == _NODE_DOMAIN and isinstance(value, memoryview):
            if bytes(value) not in STANDARD_DOMAINS:
                raise BundleRejected(f"{path}: operator of the foreign domain {bytes(value)!r}")
        elif number in _CHILDREN[kind] and isinstance(value, memoryview):
            _check_message(path, _CHILDREN[kind][number], value, depth + 1)


def _check_tensor_field(path: Path, number: int, value: memoryview | int) -> None:
    """Refuse a tensor whose data lie elsewhere."""
    if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
        raise BundleRejected(f"{path}: a tensor keeps its data in another file")


def _fields(path: Path, content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the fields of a message: their number, and their bytes or their integer."""
    at = 0
    while at < len(content):
        tag, at = _varint(path, content, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(path, content, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(path, content, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise BundleRejected(f"{path}: not an ONNX file, wire type {kind} at byte {at}")
        if at + length > len(content):
            raise BundleRejected(f"{path}: cut short")
        yield number, content[at : at + length]
        at += length


def _varint(path: Path, content: memoryview, at: int) -> tuple[int, int]:
    """Read a variable-length integer; return it and where the next field starts."""
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
