"""What goes between a process and the one that reads for it: texts, numbers, arrays and records.

Nothing on the wire is code: a reader that was taken over can answer with wrong values only. Records
are made of the classes that the asking side names, and arrays of the bytes that have come.

A message is the length of a JSON document, the document, and the bytes that it refers to.
"""

import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from pipeline.quiet import quietly

HEAD = struct.Struct("<QQ")
"""Length of the document, and of the bytes after it."""

STATUS = struct.Struct("<i")
"""How the status of a process that has ended is told."""

LONGEST_DOCUMENT = 64 << 20
"""Longest document that is taken [byte]."""

KIND = "~"
"""Key of what a value of JSON stands for."""

PLAIN_ARRAY = re.compile(r"[<>|=][biufc][0-9]{1,2}")
"""Types of arrays: numbers and truth values, never objects."""

Find = Callable[[str], type]
"""Returns the class of a name; raises KeyError for one that is not expected."""


class BrokenMessage(Exception):
    """A message is none, or holds what was not expected."""


def name_of(kind: type) -> str:
    """Return how a class is named on the wire."""
    return f"{kind.__module__}:{kind.__qualname__}"


def packed(value: object) -> list[bytes | memoryview]:
    """Return a value as the pieces of a message.

    Raises
    ------
    TypeError
        If it holds what cannot go on the wire.
    """
    buffers: list[bytes | memoryview] = []
    tree = _tree(value, buffers)
    sizes = [len(buffer) for buffer in buffers]
    document = json.dumps({"tree": tree, "sizes": sizes}).encode()
    return [HEAD.pack(len(document), sum(sizes)) + document, *buffers]


def unpacked(document: bytes, content: bytearray, find: Find) -> Any:  # noqa: ANN401 - any value
    """Return the value of a message.

    Parameters
    ----------
    document
        The document.
    content
        The bytes that it refers to.
    find
        Finds the classes of records.

    Raises
    ------
    BrokenMessage
        If it is none, or holds what was not expected.
    """
    try:
        message = json.loads(document)
        buffers, start = [], 0
        for size in message["sizes"]:
            if not 0 <= size <= len(content) - start:
                raise BrokenMessage("bytes that have not come")
            buffers.append(memoryview(content)[start : start + size])
            start += size
        with quietly():
            return _value(message["tree"], buffers, find)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as problem:
        # Not chained further: what has come may be quoted in it.
        raise BrokenMessage(type(problem).__name__) from None


def _tree(value: object, buffers: list[bytes | memoryview]) -> object:
    """Return a value as JSON; bytes go to the buffers."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [_tree(item, buffers) for item in value]
    if isinstance(value, Enum):
        return {KIND: "enum", "name": name_of(type(value)), "value": value.value}
    if isinstance(value, np.ndarray):
        return _array_tree(value, buffers)
    return _held_tree(value, buffers)


def _held_tree(value: object, buffers: list[bytes | memoryview]) -> object:
    """Return as JSON what has a kind of its own."""
    if isinstance(value, tuple):
        return {KIND: "tuple", "items": [_tree(item, buffers) for item in value]}
    if isinstance(value, bytes | bytearray | memoryview):
        buffers.append(bytes(value))
        return {KIND: "bytes", "buffer": len(buffers) - 1}
    if isinstance(value, Path):
        return {KIND: "path", "text": str(value)}
    if isinstance(value, Dataset):
        buffers.append(_encoded(value))
        return {KIND: "dataset", "buffer": len(buffers) - 1}
    if is_dataclass(value) and not isinstance(value, type):
        held = {f.name: _tree(getattr(value, f.name), buffers) for f in fields(value) if f.init}
        return {KIND: "record", "name": name_of(type(value)), "fields": held}
    raise TypeError(f"a {type(value).__name__} cannot go on the wire")


def _array_tree(array: NDArray[Any], buffers: list[bytes | memoryview]) -> object:
    """Return an array as JSON; an axis that repeats one value goes once."""
    # With an ellipsis, an array without axes stays one.
    once = array[(*(slice(0, 1) if s == 0 else slice(None) for s in array.strides), ...)]
    if not PLAIN_ARRAY.fullmatch(array.dtype.str):
        raise TypeError(f"an array of {array.dtype} cannot go on the wire")
    content = np.ascontiguousarray(once)
    buffers.append(content.reshape(-1).view(np.uint8).data)
    return {
        KIND: "array",
        "type": array.dtype.str,
        "stored": list(once.shape),
        "shape": list(array.shape),
        "buffer": len(buffers) - 1,
    }


def _value(tree: Any, buffers: Sequence[memoryview], find: Find) -> object:  # noqa: ANN401 - JSON
    """Return what JSON stands for."""
    if isinstance(tree, list):
        return [_value(item, buffers, find) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return _MADE[tree[KIND]](tree, buffers, find)


def _tuple(tree: Mapping[str, Any], buffers: Sequence[memoryview], find: Find) -> object:
    return tuple(_value(item, buffers, find) for item in tree["items"])


def _bytes(tree: Mapping[str, Any], buffers: Sequence[memoryview], _: Find) -> object:
    return bytes(buffers[tree["buffer"]])


def _path(tree: Mapping[str, Any], _: Sequence[memoryview], __: Find) -> object:
    return Path(tree["text"])


def _dataset(tree: Mapping[str, Any], buffers: Sequence[memoryview], _: Find) -> object:
    file = BytesIO(bytes(buffers[tree["buffer"]]))
    # As a plain data set: what was read from a file keeps that file.
    return Dataset({tag: element for tag, element in _parsed(file).items() if tag.group > 2})


def _parsed(file: BytesIO) -> Dataset:
    """Return an encoded data set, its values decoded."""
    found = dcmread(file, force=True)
    found.decode()
    return found


def _enum(tree: Mapping[str, Any], _: Sequence[memoryview], find: Find) -> object:
    kind = find(tree["name"])
    if not issubclass(kind, Enum):
        raise BrokenMessage("no enumeration")
    return kind(tree["value"])


def _record(tree: Mapping[str, Any], buffers: Sequence[memoryview], find: Find) -> object:
    kind = find(tree["name"])
    if not is_dataclass(kind):
        raise BrokenMessage("no record")
    return kind(**{name: _value(held, buffers, find) for name, held in tree["fields"].items()})


def _array(tree: Mapping[str, Any], buffers: Sequence[memoryview], _: Find) -> object:
    kind, stored, shape = tree["type"], tree["stored"], tree["shape"]
    if not PLAIN_ARRAY.fullmatch(kind):
        raise BrokenMessage("an array of objects")
    if any(type(n) is not int or n < 0 for n in (*stored, *shape)):
        raise BrokenMessage("an array without a shape")
    buffer = buffers[tree["buffer"]]
    if math.prod(stored) * np.dtype(kind).itemsize != len(buffer):
        raise BrokenMessage("an array of another size")
    array = np.frombuffer(buffer, dtype=kind).reshape(stored)
    return array if stored == shape else np.broadcast_to(array, shape)


_MADE = {
    "tuple": _tuple,
    "bytes": _bytes,
    "path": _path,
    "dataset": _dataset,
    "enum": _enum,
    "record": _record,
    "array": _array,
}


def _encoded(dataset: Dataset) -> bytes:
    """Return a data set as bytes."""
    file = BytesIO()
    with quietly():
        plain = Dataset({element.tag: element for element in dataset})
        plain.save_as(file, implicit_vr=ImplicitVRLittleEndian.is_implicit_VR, little_endian=True)
    return file.getvalue()
