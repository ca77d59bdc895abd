"""The nodes and constants of an ONNX file, read without a library of its own.

For graphs of ours whose computation is done in another way where that pays: what the graph says is
read from the graph, so that there is one source of the weights. The file has been checked
(``pipeline/infer/onnxfile.py``).
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.infer.protobuf import fields, integers

Attribute = int | float | str | tuple[int, ...]
"""A value of a node's attribute; those of other types are left out."""

TYPES: dict[int, np.dtype[np.generic]] = {
    1: np.dtype("<f4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
}
"""The types of constants that are read, by ONNX's numbers: single, whole numbers, half."""

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_TENSOR = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_NAME, _FLOAT, _INTEGER, _TEXT, _INTEGERS = 1, 2, 3, 4, 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One node."""

    operator: str
    """What it does, as the standard spells it."""

    inputs: tuple[str, ...]
    """Names of what it takes; empty for an input that is left out."""

    output: str
    """Name of the first thing that it gives."""

    attributes: dict[str, Attribute]
    """Its settings by their names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """A graph."""

    nodes: tuple[Node, ...]
    """In the file's order, in which each comes after what it takes."""

    constants: dict[str, NDArray[np.generic]]
    """The constants of ``TYPES`` by their names, read-only."""


def read_nodes(path: Path, content: bytes) -> Nodes:
    """Read a graph.

    Parameters
    ----------
    path
        Names the file in messages.
    content
        Its bytes.

    Raises
    ------
    BundleRejected
        If it is no ONNX file.
    """
    graph = _messages(path, memoryview(content), _MODEL_GRAPH)[-1]
    tensors = (_tensor(path, each) for each in _messages(path, graph, _GRAPH_TENSOR))
    return Nodes(
        nodes=tuple(_node(path, each) for each in _messages(path, graph, _GRAPH_NODE)),
        constants={name: values for name, values in tensors if values is not None},
    )


def _messages(path: Path, content: memoryview, wanted: int) -> list[memoryview]:
    """Return the fields of a number that are bytes."""
    found = fields(path, content)
    return [value for number, value in found if number == wanted and isinstance(value, memoryview)]


def _text(path: Path, content: memoryview, wanted: int) -> str:
    """Return a field that is a text; empty if it is missing."""
    return "".join(bytes(value).decode() for value in _messages(path, content, wanted)[-1:])


def _node(path: Path, content: memoryview) -> Node:
    """Return a node."""
    outputs = _messages(path, content, _NODE_OUTPUT)
    return Node(
        operator=_text(path, content, _NODE_OPERATOR),
        inputs=tuple(bytes(name).decode() for name in _messages(path, content, _NODE_INPUT)),
        output=bytes(outputs[0]).decode() if outputs else "",
        attributes=dict(
            _attribute(path, each) for each in _messages(path, content, _NODE_ATTRIBUTE)
        ),
    )


def _attribute(path: Path, content: memoryview) -> tuple[str, Attribute]:
    """Return an attribute's name and value; one of another type has no numbers."""
    name = ""
    value: Attribute | None = None
    several: list[memoryview | int] = []
    for number, field in fields(path, content):
        if isinstance(field, int):
            value = field if number == _INTEGER else value
            several += [field] if number == _INTEGERS else []
        elif number == _NAME:
            name = bytes(field).decode()
        elif number == _FLOAT:
            value = struct.unpack("<f", field)[0]
        elif number == _TEXT:
            value = bytes(field).decode()
        elif number == _INTEGERS:
            several.append(field)
    return name, tuple(integers(path, several)) if value is None else value


def _tensor(path: Path, content: memoryview) -> tuple[str, NDArray[np.generic] | None]:
    """Return a constant's name and values; None for a type or a form that is not read."""
    dims: list[memoryview | int] = []
    kind, raw = 0, b""
    for number, field in fields(path, content):
        if number == _TENSOR_DIMS:
            dims.append(field)
        elif number == _TENSOR_TYPE and isinstance(field, int):
            kind = field
        elif number == _TENSOR_RAW and isinstance(field, memoryview):
            raw = bytes(field)
    name = _text(path, content, _TENSOR_NAME)
    if not raw or kind not in TYPES:
        return name, None
    values: NDArray[np.generic] = np.frombuffer(raw, dtype=TYPES[kind])
    return name, values.reshape(integers(path, dims))
