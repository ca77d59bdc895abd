"""What an ONNX file claims to be large: a few bytes that a runtime would make gigabytes of.

Seen are sizes that stand in the file as numbers: those of tensors, and shapes that come from an
initializer or a ``Constant`` straight into a node that makes a tensor of that shape. A shape that
is computed on the way is not seen.
"""

import math
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import BundleRejected
from pipeline.infer.protobuf import fields, integers

LARGEST = 2**28
"""Values of a tensor that a node may make of constants alone: a gibibyte of float32."""

VALUES_PER_BYTE = 4
"""A tensor holds so many values in a byte at most: those of two bits."""

LONGEST_SHAPE = 64
"""Integers of a constant that may be a shape; longer ones are data."""

INT64 = 7
"""Data type of shapes."""

_DIMS, _DATA_TYPE, _STRINGS, _INT64_DATA, _NAME, _RAW = 1, 2, 6, 7, 8, 9
_DATA = (4, 5, 7, 9, 10, 11)
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTEGERS = 1, 5, 8
_SPARSE_DIMS = 3

_SHAPED_BY_INPUT = {b"ConstantOfShape": 0, b"Expand": 1, b"Tile": 1}
_SHAPED_BY_ATTRIBUTE = (b"RandomNormal", b"RandomUniform")

Message = dict[int, list[memoryview | int]]
"""The fields of a message by their numbers."""


@dataclass(kw_only=True, slots=True)
class Claims:
    """What nodes make of constants alone; looked at when all constants are known."""

    constants: defaultdict[bytes, list[tuple[int, ...]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Constants of integers by their names, which branches may use several times."""

    shaped: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Operators that make a tensor, each with the name of its shape."""

    def see(self, path: Path, content: memoryview) -> None:
        """Take note of a node.

        Raises
        ------
        BundleRejected
            If its attributes say that its result is huge.
        """
        node = _message(path, content)
        operator, inputs = _text(node, _OPERATOR), node.get(_INPUT, [])
        if operator == b"Constant":
            self.constants[_text(node, _OUTPUT)] += _attributes(path, node)
        elif operator in _SHAPED_BY_ATTRIBUTE:
            for shape in _attributes(path, node):
                _check_size(path, operator, shape)
        elif operator in _SHAPED_BY_INPUT and len(inputs) > _SHAPED_BY_INPUT[operator]:
            name = inputs[_SHAPED_BY_INPUT[operator]]
            self.shaped.append((operator, b"" if isinstance(name, int) else bytes(name)))

    def check(self, path: Path) -> None:
        """Refuse what is huge whatever comes in.

        Raises
        ------
        BundleRejected
            If a node makes too much of a constant.
        """
        for operator, name in self.shaped:
            for shape in self.constants.get(name, []):
                _check_size(path, operator, shape)


def check_tensor(path: Path, content: memoryview, claims: Claims) -> None:
    """Check that a tensor holds the values that it claims, and take note of it if it is a shape.

    Raises
    ------
    BundleRejected
        If it does not.
    """
    tensor = _message(path, content)
    dims = integers(path, tensor.get(_DIMS, []))
    _check_rank(path, dims)
    present = len(tensor.get(_STRINGS, []))
    for number in _DATA:
        present += sum(1 if isinstance(v, int) else len(v) for v in tensor.get(number, []))
    if min(dims, default=0) < 0 or math.prod(dims) > VALUES_PER_BYTE * present:
        raise BundleRejected(f"{path}: a tensor of shape {dims} with {present} bytes of data")
    shape = _shape_in(path, tensor)
    if shape is not None:
        claims.constants[_text(tensor, _NAME)].append(shape)


def check_sparse(path: Path, content: memoryview) -> None:
    """Check that a sparse tensor is not too large for a runtime, which fills it with zeros.

    Raises
    ------
    BundleRejected
        If it is.
    """
    _check_size(
        path, b"a sparse tensor", integers(path, _message(path, content).get(_SPARSE_DIMS, []))
    )


def _check_size(path: Path, what: bytes, shape: Sequence[int]) -> None:
    """Refuse a shape of too many values."""
    _check_rank(path, shape)
    if math.prod(max(length, 0) for length in shape) > LARGEST:
        raise BundleRejected(
            f"{path}: {what.decode()} of shape {list(shape)}, a few bytes for much"
        )


def _check_rank(path: Path, shape: Sequence[int]) -> None:
    """Refuse a shape of too many axes, before they are multiplied."""
    if len(shape) > LONGEST_SHAPE:
        raise BundleRejected(f"{path}: a shape of {len(shape)} axes")


def _message(path: Path, content: memoryview) -> Message:
    """Return the fields of a message by their numbers."""
    found: Message = defaultdict(list)
    for number, value in fields(path, content):
        found[number].append(value)
    return found


def _text(message: Message, number: int) -> bytes:
    """Return a field that is a text; empty if it is missing."""
    value = message[number][-1] if message.get(number) else 0
    return b"" if isinstance(value, int) else bytes(value)


def _attributes(path: Path, node: Message) -> list[tuple[int, ...]]:
    """Return the lists of integers among the attributes of a node."""
    found = []
    for content in node.get(_ATTRIBUTE, []):
        if isinstance(content, int):
            continue
        attribute = _message(path, content)
        listed = attribute.get(_ATTRIBUTE_INTEGERS, [])
        found.append(tuple(integers(path, listed)))
        for tensor in attribute.get(_ATTRIBUTE_TENSOR, []):
            if not isinstance(tensor, int):
                found.append(_shape_in(path, _message(path, tensor)) or ())
    return [shape for shape in found if shape]


def _shape_in(path: Path, tensor: Message) -> tuple[int, ...] | None:
    """Return the integers of a tensor that may be a shape."""
    raw = _text(tensor, _RAW)
    if tensor.get(_DATA_TYPE, [0])[-1] != INT64 or len(raw) > 8 * LONGEST_SHAPE:
        return None
    if raw:
        return struct.unpack(f"<{len(raw) // 8}q", raw[: len(raw) // 8 * 8])
    listed = tensor.get(_INT64_DATA, [])
    if sum(1 if isinstance(v, int) else len(v) for v in listed) > 10 * LONGEST_SHAPE:
        return None
    return tuple(integers(path, listed)) or None
